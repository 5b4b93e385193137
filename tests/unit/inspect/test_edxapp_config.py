"""Configuration files as trees, and the endpoints they name. What is refused never quotes the file."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.builtin import built_in_ids
from edxconsole.catalog.endpoints import load_endpoint_rules
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.edxapp_config import Claim, claims_of, parse_config

SECRET = "hunter2horse"
PATHS = ("/edx/etc/lms.yml", "/edx/app/edxapp/lms.auth.json", "/edx/app/forum/forum_env", "/x/unknown")
PIECES = st.sampled_from(
    [
        *"{}[]:,\"'\\&*#|>!%@`- \n\tab09", "\ufeff", "\0", "\ud800", "- ", "? ",
        "&a [", "*a", "<<: *a\n",
        "!!int x", "!!python/object:os.system", "!!bool z", "1:59:59", "0x_", "2020-99-99",
        "HOST: h\n", '"LOCATION":',
        "export A='b'\n", "DATABASES:\n  default:\n    HOST: x\n", "redis://u:p@h:1/0", "unix:/a", "[::1]:5",
        "CACHES:\n  default: {LOCATION: [", "NaN", "1e999", "9" * 5000,
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def refusal(text: str, path: str = "/edx/etc/lms.yml") -> str:
    """The sentence with which a file is refused; neither it nor anything behind it holds the secret."""
    with pytest.raises(NotUnderstood) as caught:
        parse_config(text, path)
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert SECRET not in told
    assert caught.value.__context__ is None
    return str(caught.value)


def named(tree: dict[str, Any], path: str = "p") -> list[tuple[str, str, int | None, str]]:
    return [(c.component, c.unix or c.host, c.port, c.key) for c in claims_of(tree, path)]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        (f'{{"A": "{SECRET}",\n "B": {SECRET}}}', "x.json", "x.json is not JSON from line 2 on."),
        (f'{{"A": "{SECRET}",\n "A": 1}}', "x.json", "x.json gives a key twice, again on line 2."),
        (f'{{"A": {{"B": 1,\n "\\u0042": "{SECRET}"}}}}', "x", "x gives a key twice, again on line 2."),
        (f"A: {SECRET}\nB: 1\nA: 2\n", "x.yml", "x.yml gives a key twice, again on line 3."),
        (f"A: '{SECRET}\n", "x.yml", "x.yml is not YAML from line 2 on."),
        (f"A: 1\nB: *{SECRET}\n", "x.yml", "x.yml is not YAML from line 2 on."),
        (f"A: 1\n\tB: {SECRET}\n", "x.yml", "x.yml is not YAML from line 2 on."),
        (f"A: 1\nB: !!int {SECRET}\n", "x.yml", "x.yml holds on line 2 what is not of the type it says."),
        (f"A: 1\n[{SECRET}]: 2\n", "x.yml", "x.yml has on line 2 a list or mapping for a key."),
        (f"A: {SECRET}\n---\nB: 1\n", "x.yml", "x.yml is not YAML from line 2 on."),
        (f"export A=1\nexport B='{SECRET}\n", "f_env", "f_env has an open quote on line 2."),
        (SECRET, "x.yml", "x.yml holds no mapping of settings."),
        (f'["{SECRET}"]', "x.json", "x.json holds no mapping of settings."),
        (f"A: \x1b[0m{SECRET}", "x.yml", "x.yml is not YAML."),
        (f"A: {SECRET}\0", "x.yml", "x.yml is binary."),
        (" \n", "x.yml", "x.yml is empty."),
        ("A: " + SECRET * 100_000, "x.yml", "x.yml is larger than 1 MiB."),
    ],
)  # fmt: skip
def test_what_is_broken_is_told_in_one_sentence_without_its_content(text: str, path: str, said: str) -> None:
    assert refusal(text, path) == said


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
        ),
        "a: &a [*a]\n",
        "[" * 100_000,
        "a: " + "[" * 65 + "]" * 65,
        "- " * 60_000,
    ],
)
def test_bombs_are_refused(text: str) -> None:
    assert "levels" in refusal(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 70 + "1" + "}" * 70, '{"a": ' + "9" * 5000 + "}", '{"a": "' + '\\"' * 200_000],
)
def test_json_that_is_deep_long_or_open_is_refused(text: str) -> None:
    assert refusal(text, "x.json")


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(PATHS))
def test_nothing_but_not_understood_is_raised(text: str, path: str) -> None:
    try:
        tree = parse_config(text, path)
    except NotUnderstood:
        return
    for claim in claims_of(tree, path):
        assert claim.component in built_in_ids()
        assert claim.host.isascii() == claim.host.isprintable() is True
        assert bool(claim.host) != bool(claim.unix)


@given(st.dictionaries(st.text(max_size=8), JSON, min_size=1, max_size=6))
def test_json_is_read_as_json_loads_reads_it(tree: dict[str, Any]) -> None:
    assert parse_config(json.dumps(tree, indent=1), "x.json") == tree


@given(
    st.sampled_from([rule.at for rule in load_endpoint_rules().rules]),
    JSON | st.lists(PIECES, max_size=6).map("".join),
)
def test_no_value_of_a_key_breaks_the_rules(at: str, value: object) -> None:
    tree: Any = value
    for key in reversed(at.split(".")):
        tree = {key if key != "*" else "one": tree}
    claims_of(tree if isinstance(tree, dict) else {}, "p")


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("x.json", '"k%d": {"HOST": ["b", 1], "\\u0041": "\\""},\n'),
        ("x.yml", "k%d: {SERVER: [b, 1], c: &a%d x}\n"),
        ("f_env", "export K%d='a b'\n"),
    ],
)
def test_twice_the_text_is_twice_the_work(path: str, unit: str) -> None:
    """Work is counted in calls, so that no clock decides."""
    few, many = (_calls(path, [unit.replace("%d", str(i)) for i in range(size)]) for size in (400, 800))
    assert many < 2.2 * few


def _calls(path: str, lines: list[str]) -> int:
    text = "".join(lines)
    text = "{" + text.rstrip(",\n") + "}" if path == "x.json" else text
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        claims_of(parse_config(text, path), path)
    finally:
        sys.setprofile(before)
    return count


def test_yaml_is_read_as_pyyaml_reads_it() -> None:
    text = (
        "a: yes\nb: 010\nc: 1_000\nd: ~\ne: 1.5\nf: 2020-01-02\n1: x\nt: &t {g: 1, h: 2}\nu: {<<: *t, h: 3}\n"
    )
    assert parse_config(text, "x.yml") == {
        "a": True, "b": 8, "c": 1000, "d": None, "e": 1.5, "f": "2020-01-02", "1": "x",
        "t": {"g": 1, "h": 2}, "u": {"g": 1, "h": 3},
    }  # fmt: skip


def test_exports_of_a_shell_are_read() -> None:
    text = (
        '# forum\nexport MONGOHQ_URL="mongodb://u:p@m1:27017,m2:27018/cs"\n'
        'export API_KEY=k # c\neval "$(x)"\nB=\n'
    )
    tree = parse_config(text, "/edx/app/forum/forum_env")
    assert tree == {"MONGOHQ_URL": "mongodb://u:p@m1:27017,m2:27018/cs", "API_KEY": "k", "B": ""}
    assert named(tree) == [("mongodb", "m1", 27017, "MONGOHQ_URL"), ("mongodb", "m2", 27018, "MONGOHQ_URL")]


def test_every_rule_names_components_that_there_are() -> None:
    rules = load_endpoint_rules()
    named = {rule.component for rule in rules.rules} | {
        k for rule in rules.rules for k in rule.kinds.values()
    }
    named |= {scheme.component for scheme in rules.schemes.values()} | set(rules.ports)
    assert named - {""} <= built_in_ids()


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.mysql", "HOST": "db1", "PORT": "3307"}}},
         [("mysql", "db1", 3307, "DATABASES.default.HOST")]),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.mysql", "HOST": "", "PORT": ""}}},
         [("mysql", "localhost", 3306, "DATABASES.default.HOST")]),
        ({"DATABASES": {"default": {"HOST": "/run/mysqld/mysqld.sock"}}},
         [("mysql", "/run/mysqld/mysqld.sock", None, "DATABASES.default.HOST")]),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}, "x": 3}}, []),
        ({"CACHES": {"general": {"BACKEND": "django.core.cache.backends.memcached.MemcachedCache",
                                 "LOCATION": ["c1:11211", "c2", "[::1]:5", "fe80::1"]}}},
         [("memcached", "c1", 11211, "CACHES.general.LOCATION"),
          ("memcached", "c2", 11211, "CACHES.general.LOCATION"),
          ("memcached", "::1", 5, "CACHES.general.LOCATION"),
          ("memcached", "fe80::1", 11211, "CACHES.general.LOCATION")]),
        ({"CACHES": {"default": {"BACKEND": "django_redis.cache.RedisCache",
                                 "LOCATION": "redis://:pw@r:6380/1"},
                     "x": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                           "LOCATION": "/tmp/x"}}},
         [("redis", "r", 6380, "CACHES.default.LOCATION")]),
        ({"CACHES": {"default": {"BACKEND": "x.PyMemcacheCache", "LOCATION": "unix:/run/m.sock"}}},
         [("memcached", "/run/m.sock", None, "CACHES.default.LOCATION")]),
        ({"CELERY_BROKER_TRANSPORT": "amqp", "CELERY_BROKER_HOSTNAME": "q1:5673"},
         [("rabbitmq", "q1", 5673, "CELERY_BROKER_HOSTNAME")]),
        ({"CELERY_BROKER_TRANSPORT": "rediss", "CELERY_BROKER_HOSTNAME": "q1"},
         [("redis", "q1", 6379, "CELERY_BROKER_HOSTNAME")]),
        ({"DOC_STORE_CONFIG": {"host": ["m1", "m2:27018"], "port": 27019, "password": "x"}},
         [("mongodb", "m1", 27019, "DOC_STORE_CONFIG.host"),
          ("mongodb", "m2", 27018, "DOC_STORE_CONFIG.host")]),
        ({"DOC_STORE_CONFIG": {"host": "mongodb://u:p/w@m1/edxapp?x=@y"}},
         [("mongodb", "m1", 27017, "DOC_STORE_CONFIG.host")]),
        ({"CONTENTSTORE": {"DOC_STORE_CONFIG": {"host": "mongodb://u:p/w@m1,m2:27018/edxapp"}}},
         [("mongodb", "m1", 27017, "CONTENTSTORE.DOC_STORE_CONFIG.host"),
          ("mongodb", "m2", 27018, "CONTENTSTORE.DOC_STORE_CONFIG.host")]),
        ({"MODULESTORE": {"default": {"OPTIONS": {"stores": [{}, {"DOC_STORE_CONFIG": {"host": "m"}}]}}}},
         [("mongodb", "m", 27017, "MODULESTORE.default.OPTIONS.stores[2].DOC_STORE_CONFIG.host")]),
        ({"XQUEUE_INTERFACE": {"url": "http://u:p@q:18040/"}},
         [("xqueue", "q", 18040, "XQUEUE_INTERFACE.url")]),
        ({"ELASTIC_SEARCH_CONFIG": [{"host": "e1", "port": 9201}, {"host": "https://e2"}]},
         [("elasticsearch", "e1", 9201, "ELASTIC_SEARCH_CONFIG[1].host"),
          ("elasticsearch", "e2", 443, "ELASTIC_SEARCH_CONFIG[2].host")]),
        ({"COMMENTS_SERVICE_URL": "http://f.example.com/a@b"},
         [("forum", "f.example.com", 80, "COMMENTS_SERVICE_URL")]),
        ({"EMAIL_HOST": "smtp", "EMAIL_PORT": 8025}, [("smtp", "smtp", 8025, "EMAIL_HOST")]),
        ({"EMAIL_HOST": "localhost"}, [("postfix", "localhost", 25, "EMAIL_HOST")]),
        ({"LMS_BASE": "courses.example.com"}, [("lms", "courses.example.com", None, "LMS_BASE")]),
        ({"MEILISEARCH_URL": "{{ scheme }}://x", "LMS_HOST": "{{ h }}", "EMAIL_HOST": None}, []),
        ({"MYSQL_HOST": "rds", "REDIS_HOST": "r", "REDIS_PORT": 6380, "MONGODB_HOST": "m", "SMTP_HOST": "s"},
         [("mysql", "rds", 3306, "MYSQL_HOST"), ("mongodb", "m", 27017, "MONGODB_HOST"),
          ("redis", "r", 6380, "REDIS_HOST"), ("smtp", "s", 8025, "SMTP_HOST")]),
    ],
)  # fmt: skip
def test_endpoints(tree: dict[str, Any], expected: list[tuple[str, str, int | None, str]]) -> None:
    assert named(tree) == expected


def test_a_claim_says_which_file_says_so() -> None:
    assert claims_of({"BROKER_URL": "amqp://celery:x@q//"}, "/edx/etc/ecomworker.yml") == (
        Claim("rabbitmq", "q", 5672, None, "BROKER_URL", "/edx/etc/ecomworker.yml", required=True),
    )
