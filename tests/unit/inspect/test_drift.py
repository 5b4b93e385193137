"""Facts of many hosts folded: who is the same, who differs, of whom it is not known."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.builtin import built_in_ids
from edxconsole.catalog.drift import load_drift_rules
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Instance, Link, State, SupervisorInfo
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.commands.drift import _print_role, _print_secrets, _role_json, _secret_json
from edxconsole.commands.output import Printer
from edxconsole.errors import CommandTimedOut, ConnectionLost
from edxconsole.inspect.config_leaves import fingerprint
from edxconsole.inspect.drift import NOT_THERE, Drift, HostFacts, Said, Unread, fold_all
from edxconsole.inspect.drift_facts import facts_of
from edxconsole.inspect.drift_run import find_drift, roles_of
from edxconsole.inspect.unit_facts import read_unit
from edxconsole.transport.base import Transport
from tests.unit.inspect.stage import CATALOG, Stage, sight, snapshot

RULES = load_drift_rules()
GOLDEN = Path(__file__).with_name("golden")
SALT = b"0123456789abcdef"


def said(name: str, value: str, *, kind: str = "setting", secret: bool = False) -> Said:
    return Said(kind, name, "***" if secret else value, fingerprint(value, SALT), secret)


def hosts(*values: str | None, secret: bool = False, component: str = "lms") -> list[HostFacts]:
    """app1, app2, ... with this value of K; None: not there."""
    return [
        HostFacts(
            f"app{n}", component, (said("A", "x"), *([said("K", v, secret=secret)] if v is not None else []))
        )
        for n, v in enumerate(values, 1)
    ]


def texts(facts: Sequence[HostFacts]) -> list[str]:
    return [d.text for role in fold_all(facts, RULES).roles for d in role.differences]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (hosts("1", "1", "1", "2"), "app[1-3] same: 1; app4 differs: 2"),
        (hosts("1", "2", "1", "3"), "app[1,3] same: 1; app2 differs: 2; app4 differs: 3"),
        (hosts("1", "2"), "app1: 1; app2: 2"),
        (hosts("1", "1", None), "app[1-2] same: 1; app3 differs: not there"),
        (hosts("1", "1", "2", secret=True), "app[1-2] same; app3 differs (secret, not shown)"),
        (hosts("1", "2", secret=True), "app1 and app2 differ"),
        (hosts("1", None, secret=True), "app1: ***; app2: not there"),
        (hosts("1", "1", None, secret=True), "app[1-2] same; app3 differs: not there"),
    ],
)
def test_differences_are_told_as_clush_folds(facts: list[HostFacts], text: str) -> None:
    assert texts(facts) == [text]


def test_what_is_the_same_is_counted_and_not_told() -> None:
    (role,) = fold_all(hosts("1", "1", "1"), RULES).roles
    assert (role.same, role.differences, role.hosts) == (2, (), ("app1", "app2", "app3"))


def test_values_that_look_the_same_and_are_not() -> None:
    facts = hosts("1", "1", "1")
    facts[2] = replace(facts[2], said=(said("A", "x"), replace(said("K", "9"), shown="1")))
    assert texts(facts) == ["app[1-2] same; app3 differs in what is not shown: 1"]


def test_a_host_that_could_not_be_read_is_unknown_and_not_the_same() -> None:
    facts = hosts("1", "1", None)
    facts[2] = replace(facts[2], unread=(Unread("setting", "ops may not read it", "a rule"),))
    (role,) = fold_all(facts, RULES).roles
    assert role.differences == ()
    assert [(u.hosts, u.kind) for u in role.unknown] == [(("app3",), "setting")]
    (role,) = fold_all([facts[0], facts[2]], RULES).roles
    assert role.same == 0


def test_a_file_that_is_not_there_at_all_is_one_difference() -> None:
    many = tuple(said(f"K{n}", "v") for n in range(50))
    facts = [HostFacts("app1", "lms", many), HostFacts("app2", "lms", many), HostFacts("app3", "lms")]
    (role,) = fold_all(facts, RULES).roles
    assert [(d.name, d.text) for d in role.differences] == [
        ("all", "app[1-2] same: there; app3 differs: not there")
    ]


def test_what_two_components_say_of_the_same_hosts_is_said_once() -> None:
    facts = hosts("1", "2") + hosts("1", "2", component="cms")
    assert texts(facts) == ["app1: 1; app2: 2"]


FACTS = st.dictionaries(
    st.sampled_from("abcde"), st.dictionaries(st.sampled_from("xyz"), st.sampled_from("123")), min_size=1
)


@given(FACTS)
def test_every_host_is_in_one_group_and_groups_are_right(table: dict[str, dict[str, str]]) -> None:
    facts = [HostFacts(h, "lms", tuple(said(k, v) for k, v in values.items())) for h, values in table.items()]
    (role,) = fold_all(facts, RULES).roles
    for difference in (d for d in role.differences if d.name != "all"):
        listed = [host for group in difference.groups for host in group.hosts]
        assert sorted(listed) == sorted(table)
        for group in difference.groups:
            assert {table[h].get(difference.name, NOT_THERE) for h in group.hosts} == {group.shown}
    equal = [k for k in "xyz" if len({values.get(k) for values in table.values()}) == 1 and len(table) > 1]
    there = [k for k in equal if any(k in values for values in table.values())]
    assert role.same == len(there)


def secrets(lms: str | None, forum: str | None, *unread: Unread) -> Drift:
    facts = []
    for component, key, value in (("lms", "COMMENTS_SERVICE_KEY", lms), ("forum", "API_KEY", forum)):
        kind = "lms_setting" if component == "lms" else "setting"
        told = (said(key, value, kind=kind, secret=True),) if value else ()
        facts.append(HostFacts(f"{component}1", component, told, unread))
    return fold_all(facts, RULES)


def test_a_secret_that_two_components_share() -> None:
    what = "COMMENTS_SERVICE_KEY of lms (lms1) and API_KEY of forum (forum1)"
    assert [(s.same, s.text) for s in secrets("a", "a").secrets] == [(True, f"{what} are the same")]
    (other,) = secrets("a", "b").secrets
    assert (other.same, other.text) == (False, f"{what} are not the same, though they must be")
    assert secrets("a", "b").differs
    (unset,) = secrets("a", None).secrets
    assert (unset.same, unset.text.rpartition(": ")[2]) == (None, "one is not set")
    assert secrets(None, None).secrets == ()
    (unread,) = secrets("a", None, Unread("setting", "ops may not read it")).secrets
    assert (unread.same, unread.text.rpartition(": ")[2]) == (None, "not all was read")


def test_nothing_printed_holds_a_secret_or_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    found = fold_all(hosts("hunter2", "hunter3", "hunter2", secret=True), RULES)
    told = secrets("hunter2", "hunter3")
    _print_role(Printer(), found.roles[0])
    _print_secrets(Printer(), told.secrets)
    out = [capsys.readouterr().out, repr(found), repr(hosts("hunter2", secret=True))]
    out += [
        json.dumps([_role_json(r) for r in found.roles]),
        json.dumps([_secret_json(s) for s in told.secrets]),
    ]
    for text in out:
        assert "hunter" not in text
        assert fingerprint("hunter2", SALT).hex() not in text
        assert "token" not in text
    assert "app[1,3] same; app2 differs (secret, not shown)" in out[0]


def test_rules_name_components_that_there_are() -> None:
    named = set(RULES.components) | {c for pair in RULES.shared_secrets for c in pair}
    assert named <= built_in_ids()
    assert all(len(pair) == 2 for pair in RULES.shared_secrets)


UNIT = """# /lib/systemd/system/x.service
[Unit]
Description=x
[Service]
Environment="A=hunter2 b" B=hunter3
ExecStart=/usr/bin/x --password hunter4 \\
   --more
# /etc/systemd/system/x.service.d/override.conf
[Service]
ExecStart=
ExecStart=/usr/bin/x -d
"""


def test_unit_files_are_read_key_by_key() -> None:
    lines = {line.name: line for line in read_unit(UNIT, "x.service")}
    assert {name: line.shown for name, line in lines.items()} == {
        "x.service Unit.Description": "x",
        "x.service Service.Environment": "A, B",
        "x.service Service.ExecStart": "/usr/bin/x --password '***' --more; /usr/bin/x -d",
    }
    assert lines["x.service Service.Environment"].secret
    assert "hunter" not in repr(lines)


@given(st.text(alphabet="[]=\\\n\"'; aE#", max_size=60).map(lambda t: "[Service]\nEnvironment=" + t))
def test_unit_files_never_raise(text: str) -> None:
    list(read_unit(text, "x"))


CONF = """[supervisord]
[program:lms]
command=/v/gunicorn --token={token} lms.wsgi
environment=SERVICE_VARIANT="lms",NEW_RELIC_LICENSE_KEY="{key}"
"""


def machine(tmp_path: Path, **values: str) -> HostSnapshot:
    """A host whose LMS is a program of a supervisord with this configuration."""
    conf = tmp_path / "supervisord.conf"
    conf.write_text(CONF.format(**values))
    manager = "supervisor:/s.sock"
    host = snapshot(
        "lms", supervisors=(SupervisorInfo(manager, str(conf), "", "root", "4", "RUNNING", Identity()),)
    )
    unit = Unit(manager, "lms", "RUNNING", UnitHealth.RUNNING)
    instance = Instance("lms", "h", State.UP, "", None, units=(f"{manager}/lms",))
    return replace(host, units={f"{manager}/lms": unit}, instances=(instance,), kernel="6.1")


async def facts(stage: Stage, host: HostSnapshot, component: str = "lms") -> dict[tuple[str, str], Said]:
    looking = sight(stage, component)
    looking.host, looking.instance = host, host.instances[0]
    found = await facts_of(looking, SALT)
    return {(s.kind, s.name): s for s in found.said}


async def test_what_a_host_says(stage: Stage, tmp_path: Path) -> None:
    one = await facts(stage, machine(tmp_path, token="t1", key="k1"))
    two = await facts(stage, machine(tmp_path, token="t1", key="k2"))
    assert one["system", "kernel"].shown == "6.1"
    assert one["system", "os"].shown == platform.freedesktop_os_release()["PRETTY_NAME"]
    assert one["unit", "lms command"].shown == "/v/gunicorn '--token=***' lms.wsgi"
    assert one["unit", "lms environment"].shown == "SERVICE_VARIANT, NEW_RELIC_LICENSE_KEY"
    assert one["unit", "lms command"].token == two["unit", "lms command"].token
    assert one["unit", "lms environment"].token != two["unit", "lms environment"].token


async def test_packages_of_debian_and_red_hat(stage: Stage) -> None:
    host = snapshot("nginx")
    debian = "install ok installed\tnginx\t1.22.1-9\nunknown ok not-installed\tnginx-full\t\n"
    stage.script = {
        "sh -c for p": "/usr/bin/dpkg-query\n",
        "/usr/bin/dpkg-query": (1, debian, "no packages found"),
    }
    found = await facts(stage, host, "nginx")
    assert {k: s.shown for k, s in found.items() if k[0] == "package"} == {("package", "nginx"): "1.22.1-9"}
    redhat = "installed\tnginx\t1.20.1-14.el9\npackage nginx-core is not installed\n"
    stage.script = {"sh -c for p": "/usr/bin/rpm\n", "/usr/bin/rpm": (1, redhat, "")}
    found = await facts(stage, host, "nginx")
    assert found["package", "nginx"].shown == "1.20.1-14.el9"


async def test_what_fails_on_a_host_is_unknown(stage: Stage) -> None:
    stage.script = {"sh -c": CommandTimedOut("sh did not end")}
    looking = sight(stage, "nginx")
    found = await facts_of(looking, SALT)
    assert {u.kind for u in found.unread} == {"system", "package", "config_file"}
    stage.script = {"sh -c": ConnectionLost("gone")}
    found = await facts_of(looking, SALT)
    assert found.unread[-1].kind == "everything"


async def test_settings_of_what_does_not_run_are_unknown(stage: Stage) -> None:
    for component, kinds in (("lms", {"lms_setting"}), ("edxapp_worker", {"lms_setting", "cms_setting"})):
        found = await facts_of(sight(stage, component), SALT)
        told = {u.kind: u.cause for u in found.unread}
        assert {kind for kind in told if kind.endswith("_setting")} == kinds


async def test_code_is_told_by_gits_own_files(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    origin = RULES.components["lms"].model_copy(update={"code": str(tmp_path), "venv": str(tmp_path)})
    monkeypatch.setitem(RULES.components, "lms", origin)
    (git / "HEAD").write_text("ref: refs/heads/open-release/koa.3\n")
    (git / "packed-refs").write_text("# pack-refs\n1234567890abcdef refs/heads/open-release/koa.3\n")
    packages = tmp_path / "lib" / "python3.8" / "site-packages"
    packages.mkdir(parents=True)
    for name in ("Django-2.2.20.dist-info", "edx_rest_api-5.3.0-py3.8.egg-info", "x.txt"):
        (packages / name).mkdir()
    found = await facts(stage, snapshot("lms"))
    assert found["code", str(tmp_path)].shown == "open-release/koa.3 1234567890ab"
    assert {k[1]: s.shown for k, s in found.items() if k[0] == "python_package"} == {
        "django": "2.2.20", "edx-rest-api": "5.3.0"
    }  # fmt: skip
    (git / "HEAD").write_text("fedcba9876543210\n")
    assert (await facts(stage, snapshot("lms")))["code", str(tmp_path)].shown == "fedcba9876543210"
    (git / "HEAD").write_text("ref: refs/../../../etc/shadow\n")
    assert ("code", str(tmp_path)) not in await facts(stage, snapshot("lms"))


async def test_files_are_compared_without_what_means_nothing(stage: Stage, tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    (tmp_path / "x.conf").write_text("# by Ansible\n\n  a   1;\n")
    (sites / "lms").write_text("server {\n  listen 80; # x\n}\n")
    looking = sight(stage, "nginx")
    paths = (str(tmp_path / "x.conf"), str(sites), str(tmp_path / "gone.conf"))
    looking.component = looking.component.model_copy(update={"configs": paths})

    async def told() -> dict[str, Said]:
        return {s.name: s for s in (await facts_of(looking, SALT)).said if s.kind.startswith("config_")}

    before = await told()
    assert {name: s.shown for name, s in before.items()} == {paths[0]: "1 line", f"{paths[1]}/*": "3 lines"}
    (tmp_path / "x.conf").write_text("# by hand\na 1;\n")
    (sites / "lms").write_text("server {\n  listen 81; # x\n}\n")
    after = await told()
    assert after[paths[0]].token == before[paths[0]].token
    assert after[f"{paths[1]}/*"].token != before[f"{paths[1]}/*"].token


async def test_a_host_that_is_gone_is_unknown_for_all(stage: Stage) -> None:
    names = ("h", "gone")
    here = {name: replace(snapshot("memcached"), name=name, link=Link.LIVE) for name in names}
    cluster: Any = ClusterSnapshot(1, "c", "development", here, ())

    def transport(name: str) -> Transport:
        if name == "gone":
            raise ConnectionLost("there is no connection")
        return stage

    roles = roles_of(CATALOG, cluster, {"gone": {"redis"}})
    assert roles == {"memcached": names, "redis": ("gone",)}
    found = await find_drift(roles, cluster, CATALOG, transport, sudo=())
    (role,) = found.roles
    assert role.hosts == names
    assert not found.differs
    assert (("gone",), "everything") in [(u.hosts, u.kind) for u in role.unknown]
