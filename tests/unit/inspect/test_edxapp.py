"""What is told of LMS, Studio and workers: files in force, endpoints, settings; and never a secret."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.cluster.model import Process, State
from edxconsole.commands.inspect import _print, inspection_json
from edxconsole.commands.output import Printer
from edxconsole.errors import PermissionMissing
from edxconsole.inspect import edxapp_files
from edxconsole.inspect.config_leaves import leaves_of
from edxconsole.inspect.config_text import parse_config
from edxconsole.inspect.edxapp_config import claims_of
from edxconsole.inspect.edxapp_files import VARIANTS, FileStatus, in_force, variants_of
from edxconsole.inspect.masking import is_secret_setting, mask_setting
from edxconsole.inspect.model import Inspection
from tests.unit.inspect.stage import Stage, look, process, served, sight, snapshot

GOLDEN = Path(__file__).with_name("golden")
CONFIGURATION = "configuration-c8aa592a7"
"""rendered by ansible-core from the roles edxapp and forum of openedx/configuration at this commit,
with their defaults; lms.yml and studio.yml as service_variant_config.yml combines them"""
TUTOR = "tutor-22.0.3"
"""rendered by `tutor config save`; of the RSA key in config.yml the middle is cut out"""

# domain.md section 8, "Known names": each here as an installation would have it.
SECRETS: dict[str, Any] = {
    "SECRET_KEY": "#",
    "DATABASES": {"default": {"PASSWORD": "#", "HOST": "127.0.0.1", "PORT": 1}},
    "DOC_STORE_CONFIG": {"password": "#"},
    "CONTENTSTORE": {"OPTIONS": {"password": "#"}, "DOC_STORE_CONFIG": {"password": "#"}},
    "CELERY_BROKER_PASSWORD": "#",
    "XQUEUE_INTERFACE": {"basic_auth": ["#", "#"], "django_auth": {"username": "#", "password": "#"}},
    "USERS": {"lms": "#"},
    "COMMENTS_SERVICE_KEY": "#", "EDX_API_KEY": "#", "AWS_ACCESS_KEY_ID": "#", "AWS_SECRET_ACCESS_KEY": "#",
    "EMAIL_HOST_PASSWORD": "#", "SWIFT_KEY": "#", "SWIFT_TEMP_URL_KEY": "#", "ECOMMERCE_API_SIGNING_KEY": "#",
    "JWT_AUTH": {"JWT_SECRET_KEY": "#", "JWT_PRIVATE_SIGNING_JWK": "#", "JWT_ISSUERS": [{"SECRET_KEY": "#"}]},
    "JWT_PRIVATE_SIGNING_KEY": "#", "DEFAULT_JWT_ISSUER": {"SECRET_KEY": "#"},
    "SOCIAL_AUTH_OAUTH_SECRETS": {"google-oauth2": "#"},
    "SOCIAL_AUTH_SAML_SP_PRIVATE_KEY": "#", "SOCIAL_AUTH_SAML_SP_PRIVATE_KEY_DICT": {"a": "#"},
    "CREDIT_PROVIDER_SECRET_KEYS": {"hogwarts": "#"}, "FERNET_KEYS": ["#", "#"],
    "PROFILE_IMAGE_HASH_SEED": "#", "TRACKING_SEGMENTIO_WEBHOOK_SECRET": "#", "ZENDESK_API_KEY": "#",
    "ZENDESK_OAUTH_ACCESS_TOKEN": "#", "YOUTUBE_API_KEY": "#", "FACEBOOK_APP_SECRET": "#",
    "BRANCH_IO_KEY": "#", "SEGMENT_KEY": "#", "ANALYTICS_DATA_TOKEN": "#", "ANALYTICS_API_KEY": "#",
    "ACE_CHANNEL_SAILTHRU_API_KEY": "#", "ACE_CHANNEL_SAILTHRU_API_SECRET": "#", "X_OAUTH2_SECRET": "#",
    "NEW_RELIC_LICENSE_KEY": "#", "MYSQL_ROOT_PASSWORD": "#", "OPENEDX_MYSQL_PASSWORD": "#",
    "OPENEDX_SECRET_KEY": "#", "MEILISEARCH_MASTER_KEY": "#", "MEILISEARCH_API_KEY": "#",
    "CMS_OAUTH2_SECRET": "#", "SMTP_PASSWORD": "#", "REDIS_PASSWORD": "#", "MONGODB_PASSWORD": "#",
    "JWT_RSA_PRIVATE_KEY": "-----BEGIN RSA PRIVATE KEY-----\n#\n#\n-----END RSA PRIVATE KEY-----",
    # Where a secret stands in what is none.
    "CELERY_RESULT_BACKEND": "redis://:#@127.0.0.1:1/0", "MONGOHQ_URL": "mongodb://cs:#/#@127.0.0.1:1/cs",
    "CACHES": {"default": {"BACKEND": "x.RedisCache", "LOCATION": ["redis://u:#@127.0.0.1:1"]}},
    "SENTRY": "https://#@sentry.io/1", "HOOK": "https://h.example.com/x?a=1&token=#",
    "KEYS_OF": {"AUTH": ["#", "#"]},
    "SAML_PEM": "-----BEGIN PRIVATE KEY-----\n#\n",
    "ELSEWHERE": {"nested": [{"deep": {"password": "#"}}, {"passwd": "#"}]},
}  # fmt: skip
HARMLESS = {
    "ACE_ROUTING_KEY": "edx.lms.core.default", "BULK_EMAIL_ROUTING_KEY": "edx.lms.core.high",
    "CACHES": {"default": {"KEY_PREFIX": "edxapp", "KEY_FUNCTION": "util.memcache.safe_key"}},
    "PASSWORD_RESET_SUPPORT_LINK": "https://help.example.com/reset",
    "AUTH_PASSWORD_VALIDATORS": [{"NAME": "util.MinimumLengthValidator"}],
    "PASSWORD_POLICY_COMPLIANCE_ROLLOUT_CONFIG": {"ENFORCE_COMPLIANCE_ON_LOGIN": "later"},
    "HELP_TOKENS_BOOKS": {"learner": "https://docs.example.com"}, "PARSE_KEYS": "no",
    "JWT_AUTH": {"JWT_PUBLIC_SIGNING_JWK_SET": "public", "JWT_AUTH_COOKIE_HEADER_PAYLOAD": "edx-jwt"},
}  # fmt: skip


def golden(name: str, path: str | None = None) -> dict[str, object]:
    return parse_config((GOLDEN / name).read_text(), path or name)


def numbered(tree: Any, values: list[str]) -> Any:
    """The tree with a secret of its own for each "#"; they are added to `values`."""
    if isinstance(tree, dict):
        return {key: numbered(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [numbered(value, values) for value in tree]
    parts = str(tree).split("#")
    for index in range(1, len(parts)):
        values.append(f"s3cr3t{len(values):03d}x")
        parts[index] = values[-1] + parts[index]
    return "".join(parts) if len(parts) > 1 else tree


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts a process with these variables, which is shown as a gunicorn of the LMS unless told."""
    running: list[subprocess.Popen[bytes]] = []

    def started(argv: str = "/v/bin/python /v/bin/gunicorn lms.wsgi", **variables: str) -> Process:
        running.append(subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"], **variables}))
        shown = process(running[-1].pid, argv, user=getpass.getuser())
        return replace(shown, started_at=4e9)

    yield started
    for child in running:
        child.kill()
        child.wait()


def told(found: Inspection) -> str:
    return "; ".join(f"{m.what}: {m.cause}" for m in found.missing)


async def test_no_secret_is_told_anywhere(
    stage: Stage,
    start: Callable[..., Process],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    values: list[str] = []
    config = tmp_path / "lms.yml"
    config.write_text(json.dumps(numbered(SECRETS, values)))
    assert len(values) > 60
    caplog.set_level(logging.DEBUG)
    found = await look("lms", stage, snapshot("lms", [start(LMS_CFG=str(config))]))
    rows = found.section("configuration").table("settings").rows
    assert len(rows) > 50
    _print(Printer(), found)
    said = [json.dumps(inspection_json(found)), capsys.readouterr().out, caplog.text, repr(found)]
    said += [repr(leaf) for leaf in leaves_of(json.loads(config.read_text()))]
    config.write_text(config.read_text()[:-1] + ",\n" + "x")
    broken = await look("lms", stage, snapshot("lms", [start(LMS_CFG=str(config))]))
    assert "is not YAML from line 3 on" in told(broken)
    said += [json.dumps(inspection_json(broken)), repr(broken), caplog.text]
    leaked = [value for value in values if any(value in text for text in said)]
    assert leaked == []


def test_what_only_looks_like_a_secret_is_shown() -> None:
    leaves = leaves_of(HARMLESS)
    assert [leaf.key for leaf in leaves if leaf.secret or "***" in leaf.shown] == []
    assert len(leaves) == 11


@pytest.mark.parametrize(
    "key", ["PROFILE_IMAGE_HASH_SEED", "profile_secret", "KEY1", "HASH_SALT", "SENTRY_DSN"]
)
def test_names_of_secrets(key: str) -> None:
    assert is_secret_setting(["A", key, 3])


def test_switches_and_empty_values_of_secrets_are_shown() -> None:
    leaves = leaves_of(
        {"EMAIL_HOST_PASSWORD": "", "FERNET_KEYS": [], "SECRET_KEY": None, "ALLOW_TOKENS": True}
    )
    assert [leaf.shown for leaf in leaves] == ["", "[]", "null", "true"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://celery:x@q1:5672//", "amqp://***@q1:5672//"),
        ("redis://:p/w@q1:6379/1", "redis://***@q1:6379/1"),
        ("https://k3y@sentry.io/1 ?", "https://***@sentry.io/1 ?"),
        ("user:pw@h1:11211", "***@h1:11211"),
        ("Support <help@example.com>", "Support <help@example.com>"),
        ("course-v1:edX+DemoX+1", "course-v1:edX+DemoX+1"),
    ],
)
def test_settings_lose_their_users(text: str, shown: str) -> None:
    assert mask_setting(text) == shown


@pytest.mark.parametrize(
    ("name", "path", "addresses"),
    [
        (
            f"{CONFIGURATION}-lms.yml",
            "/edx/etc/lms.yml",
            {
                "mysql": {"localhost:3306"},
                "mongodb": {"localhost:27017"},
                "memcached": {"localhost:11211"},
                "redis": {"localhost:6379"},
                "elasticsearch": {"localhost:9200"},
                "xqueue": {"localhost:18040"},
                "forum": {"localhost:18080"},
                "postfix": {"localhost:25"},
            },
        ),
        (f"{CONFIGURATION}-lms.auth.json", "lms.auth.json",
         {"mysql": {"localhost:3306"}, "xqueue": {"localhost:18040"}}),
        (f"{CONFIGURATION}-forum_env", "forum_env",
         {"mongodb": {"localhost:27017"}, "elasticsearch": {"localhost:9200"}}),
        (f"{TUTOR}-lms.env.yml", "lms.env.yml",
         {"mysql": {"mysql:3306"}, "redis": {"redis:6379"}, "smtp": {"smtp:8025"},
          "lms": {"local.openedx.io", "local.openedx.io:80"}}),
    ],
)  # fmt: skip
def test_real_files_name_their_endpoints(name: str, path: str, addresses: dict[str, set[str]]) -> None:
    found: dict[str, set[str]] = {}
    for claim in claims_of(golden(name, path), path):
        found.setdefault(claim.component, set()).add(claim.address)
    assert {component: found.get(component) for component in addresses} == addresses


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.glob("*.yml")))
def test_no_password_of_a_real_file_is_shown(name: str) -> None:
    leaves = leaves_of(golden(name))
    shown = {leaf.key: leaf.shown for leaf in leaves}
    for leaf in leaves:
        last = leaf.key.rpartition(".")[2]
        if last.endswith(("PASSWORD", "password", "SECRET_KEY", "PRIVATE_KEY", "API_KEY", "MASTER_KEY")):
            assert shown[leaf.key] in ("***", "", "null"), leaf.key


async def test_the_file_that_the_process_reads_is_in_force(
    stage: Stage, start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = [tmp_path / f"lms.{kind}.json" for kind in ("env", "auth")]
    for path in stale:
        path.write_text("{}")
    variant = replace(VARIANTS["lms"], usual=str(tmp_path / "usual.yml"), old=tuple(str(p) for p in stale))
    monkeypatch.setitem(VARIANTS, "lms", variant)
    config = tmp_path / "mine.yml"
    async with served(_hello) as port:
        text = (GOLDEN / f"{CONFIGURATION}-lms.yml").read_text().replace("localhost", "127.0.0.1")
        config.write_text(text.replace("3306", str(port)).replace("27017", "1"))
        found = await look("lms", stage, snapshot("lms", [start(LMS_CFG=str(config))]))
    section = found.section("configuration")
    assert str(section.fact("told_by")).startswith("LMS_CFG in the environment of pid ")
    files = {r["file"]: r["read"] for r in section.table("files").rows}
    assert files == {str(config): True, **{str(path): False for path in stale}}
    assert section.fact("stale_copies") == 2
    answers = {(r["component"], r["address"]): r["answer"] for r in section.table("endpoints").rows}
    assert answers["mysql", f"127.0.0.1:{port}"] == "answers"
    assert answers["mongodb", "127.0.0.1:1"] == "refuses"
    needed = [f.text for f in found.findings if f.state is State.DEGRADED and "mongodb" in f.text]
    assert needed == ["mongodb at 127.0.0.1:1, named by DOC_STORE_CONFIG.host: refuses"]
    assert not any("xqueue" in f.text for f in found.findings)


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def test_two_json_files_where_no_variable_names_one(
    stage: Stage, start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = []
    for kind in ("env", "auth"):
        old.append(tmp_path / f"lms.{kind}.json")
        old[-1].write_text((GOLDEN / f"{CONFIGURATION}-lms.{kind}.json").read_text())
    variant = replace(VARIANTS["lms"], usual=str(tmp_path / "no.yml"), old=tuple(str(p) for p in old))
    monkeypatch.setitem(VARIANTS, "lms", variant)
    found = await look("lms", stage, snapshot("lms", [start()]))
    settings = {r["key"]: r for r in found.section("configuration").table("settings").rows}
    assert settings["PLATFORM_NAME"]["file"] == str(old[0])
    assert settings["DATABASES.default.PASSWORD"]["value"] == "***"
    assert settings["DATABASES.default.HOST"] == {
        "key": "DATABASES.default.HOST", "value": "localhost", "secret": False, "file": str(old[1])
    }  # fmt: skip


async def test_a_file_changed_after_its_process_began_is_told(
    stage: Stage, start: Callable[..., Process], tmp_path: Path
) -> None:
    config = tmp_path / "lms.yml"
    config.write_text("A: 1\n")
    begun = replace(start(LMS_CFG=str(config)), started_at=config.stat().st_mtime - 600)
    found = await look("lms", stage, snapshot("lms", [begun]))
    assert any(f.text.startswith(f"{config} was changed") for f in found.findings)


THERE = FileStatus(1, 1, "edxapp", "640")
OLD = VARIANTS["lms"].old


@pytest.mark.parametrize(
    ("argv", "there", "exports", "paths"),
    [
        ("/v/bin/python3 gunicorn", ["/edx/etc/lms.yml", *OLD], {}, ("/edx/etc/lms.yml",)),
        ("/v/bin/python2.7 gunicorn", ["/edx/etc/lms.yml", *OLD], {}, OLD),
        ("/v/bin/python gunicorn", [*OLD], {}, OLD),
        ("/v/bin/python gunicorn", [*OLD], {"LMS_CFG": "/other.yml"}, ("/other.yml",)),
    ],
)
async def test_without_its_environment_the_release_tells(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    argv: str,
    there: list[str],
    exports: dict[str, str],
    paths: tuple[str, ...],
) -> None:
    async def refused(*_: object) -> dict[str, str]:
        raise PermissionMissing("ops may not read it", remedy="a rule")

    async def exported(*_: object) -> dict[str, str]:
        return exports

    looking = sight(stage, "lms", sudo=False)
    monkeypatch.setattr(type(looking), "variables", refused)
    monkeypatch.setattr(edxapp_files, "_exported", exported)
    seen = dict.fromkeys(there, THERE)
    found = await in_force(looking, VARIANTS["lms"], process(5, argv), seen)
    assert found.paths == paths
    monkeypatch.setattr(edxapp_files, "_exported", _nothing)
    with pytest.raises(PermissionMissing):
        await in_force(looking, VARIANTS["lms"], process(5, argv), {})


async def _nothing(*_: object) -> dict[str, str]:
    return {}


def test_workers_tell_whose_they_are() -> None:
    rows = [
        process(1, "bash /edx/app/edxapp/worker.sh lms.celery"),
        process(2, "/v/python /v/celery --app=cms.celery:APP worker --queues=edx.cms.core.default"),
        process(3, "/v/python /edx/app/edxapp/edx-platform/manage.py lms --settings=aws celery worker"),
        process(4, "/v/python /v/celery --app=lms.celery:APP worker"),
    ]
    assert {name: p.pid for name, p in variants_of("edxapp_worker", rows).items()} == {"cms": 2, "lms": 3}


async def test_without_a_process_it_is_told(stage: Stage) -> None:
    found = await look("edxapp_worker", stage, snapshot("edxapp_worker"))
    lines = told(found).split("; ")
    assert "configuration: without a process it is not known which files it reads" in lines


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"A: 1\nA: 2\n", "gives a key twice, again on line 2"),
        (b"A: \0\0", "is binary"),
        (b"A: " + b"x" * (50 << 20), "is larger than 256 KiB and was not read"),
    ],
    ids=["twice", "binary", "50 MB"],
)
async def test_files_that_are_none(
    stage: Stage, start: Callable[..., Process], tmp_path: Path, content: bytes, said: str
) -> None:
    config = tmp_path / "lms.yml"
    config.write_bytes(content)
    found = await look("lms", stage, snapshot("lms", [start(LMS_CFG=str(config))]))
    assert f"settings of {config}: {config} {said}" in told(found)
