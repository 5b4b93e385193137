"""From a selector to a plan: the right units, in the right order, refused where they must be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link, Process
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import PreflightFailed, UsageError
from edxconsole.inventory.model import Host, Inventory
from edxconsole.inventory.selectors import parse_selector
from edxconsole.plans.model import GateLevel, Plan, Step
from edxconsole.plans.planner import build_plan, phrase
from edxconsole.plans.targets import Target, select_targets
from edxconsole.services.base import Verb

SUPERVISOR = "supervisor:/edx/var/supervisor/supervisor.sock"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def unit(
    name: str, health: UnitHealth = UnitHealth.RUNNING, manager: str = SUPERVISOR, pid: int = 10
) -> Unit:
    running = health in (UnitHealth.RUNNING, UnitHealth.STARTING, UnitHealth.STOPPING)
    return Unit(manager, name, health.value.upper(), health, Identity(pid, 1) if running else Identity())


def gunicorns(module: str, pid: int) -> list[Process]:
    argv = (
        "/edx/app/edxapp/venvs/edxapp/bin/python",
        "/edx/app/edxapp/venvs/edxapp/bin/gunicorn",
        "-c",
        f"/edx/app/edxapp/{module}_gunicorn.py",
        f"{module}.wsgi",
    )
    row = Process(pid, 77, 0.0, 2, 33, "www-data", "gunicorn", argv, "S", 0.0, 1, 1)
    return [row, replace(row, pid=pid + 1, ppid=pid), replace(row, pid=pid + 2, ppid=pid)]


def host(
    name: str, units: Sequence[Unit], link: Link = Link.LIVE, processes: Sequence[Process] = ()
) -> HostSnapshot:
    return HostSnapshot(
        name,
        1,
        link,
        "" if link is Link.LIVE else "nothing heard for 9 s",
        0.0,
        units={f"{u.manager}/{u.name}": u for u in units},
        processes={p.pid: p for p in processes},
    )


def cluster(*hosts: HostSnapshot) -> tuple[Inventory, ClusterSnapshot]:
    inventory = Inventory(
        hosts={h.name: Host(name=h.name) for h in hosts},
        groups={"app": tuple(h.name for h in hosts if h.name.startswith("app"))},
    )
    return inventory, ClusterSnapshot(1, "campus", "production", {h.name: h for h in hosts}, ())


def select(catalog: Catalog, text: str, verb: Verb, *hosts: HostSnapshot) -> tuple[Target, ...]:
    inventory, snapshot = cluster(*hosts)
    return select_targets(inventory, catalog, snapshot, parse_selector(text), verb)


def plan(catalog: Catalog, text: str, verb: Verb, *hosts: HostSnapshot) -> Plan:
    return build_plan(
        cluster="campus",
        environment="production",
        catalog=catalog,
        hosts={h.name: h for h in hosts},
        targets=select(catalog, text, verb, *hosts),
        verb=verb,
        selector=text,
        command=lambda name, a_unit, a_verb: f"{a_verb} {a_unit.name} on {name}",
    )


def names(targets: Sequence[Target]) -> list[str]:
    return [f"{t.unit.name}@{t.host}" for t in targets]


APP1 = host(
    "app1",
    [unit("lms"), unit("cms"), unit("edxapp_worker:lms_default_1"), unit("edxapp_worker:cms_default_1")],
)
APP2 = host("app2", [unit("edxapp:lms"), unit("xqueue")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lms@app1", ["lms@app1"]),
        ("lms", ["lms@app1", "edxapp:lms@app2"]),
        ("lms@app", ["lms@app1", "edxapp:lms@app2"]),
        ("edxapp_worker:*@app1", ["edxapp_worker:lms_default_1@app1", "edxapp_worker:cms_default_1@app1"]),
        ("edxapp_worker:lms_default_1", ["edxapp_worker:lms_default_1@app1"]),
        ("lms_default_1@app1", ["edxapp_worker:lms_default_1@app1"]),
        ("xqueue@app*", ["xqueue@app2"]),
    ],
)
def test_a_selector_names_units(catalog: Catalog, text: str, expected: list[str]) -> None:
    assert sorted(names(select(catalog, text, Verb.RESTART, APP1, APP2))) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "verb", "says"),
    [
        ("mysql", Verb.RESTART, "nothing on app1, app2 is named mysql"),
        ("lms@app1", Verb.START, "lms on app1 already running"),
    ],
)
def test_what_names_nothing_is_said(catalog: Catalog, text: str, verb: Verb, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        select(catalog, text, verb, APP1, APP2)


def test_a_host_that_is_not_live_is_not_acted_on(catalog: Catalog) -> None:
    stale = replace(APP2, link=Link.STALE, reason="nothing heard for 4 s")
    with pytest.raises(PreflightFailed, match="app2: it is stale"):
        select(catalog, "lms", Verb.RESTART, APP1, stale)
    assert names(select(catalog, "lms@app1", Verb.RESTART, APP1, stale)) == ["lms@app1"]


def test_of_two_managers_the_nearest_to_the_process_acts(catalog: Catalog) -> None:
    both = host("web", [unit("nginx", manager="sysv"), unit("nginx.service", manager="systemd")])
    assert [t.unit.manager for t in select(catalog, "nginx", Verb.RESTART, both)] == ["systemd"]


def test_clients_stop_before_their_stores_and_start_after_them(catalog: Catalog) -> None:
    down = UnitHealth.STOPPED
    one = host(
        "all",
        [unit("lms", down), unit("mysql.service", down, "systemd"), unit("nginx.service", down, "systemd")],
    )
    assert names(select(catalog, "@all", Verb.START, one)) == [
        "mysql.service@all",
        "lms@all",
        "nginx.service@all",
    ]
    up = host(
        "all",
        [unit("mysql.service", manager="systemd"), unit("lms"), unit("nginx.service", manager="systemd")],
    )
    assert names(select(catalog, "@all", Verb.STOP, up)) == [
        "nginx.service@all",
        "lms@all",
        "mysql.service@all",
    ]


def test_reload_of_gunicorn_is_a_hup_to_the_master_not_to_its_wrapper(catalog: Catalog) -> None:
    """Hawthorn and Ironwood run lms.sh without exec: a HUP to the supervised pid kills only bash."""
    shell = Process(
        10, 70, 0.0, 2, 33, "www-data", "bash", ("bash", "/edx/app/edxapp/lms.sh"), "S", 0.0, 1, 1
    )
    master, *workers = gunicorns("lms", 40)
    wrapped = host("app1", [unit("lms", pid=10)], processes=[shell, replace(master, ppid=10), *workers])
    step = plan(catalog, "lms@app1", Verb.RELOAD, wrapped).steps[0]
    assert (step.method, step.master, step.before) == ("hup-master", Identity(40, 77), Identity(10, 1))
    assert step.command.startswith("kill -HUP 40")


def test_reload_without_a_single_master_is_refused(catalog: Catalog) -> None:
    with pytest.raises(PreflightFailed, match=r"no process(es)? of lms could be its master"):
        plan(catalog, "lms@app1", Verb.RELOAD, APP1)


def test_what_can_not_reload_says_why(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="can't reload"):
        plan(catalog, "xqueue@app2", Verb.RELOAD, APP2)


def test_supervisord_itself_is_refused(catalog: Catalog) -> None:
    one = host("app1", [unit("supervisor.service", manager="systemd")])
    with pytest.raises(UsageError, match="takes down every program"):
        plan(catalog, "supervisor@app1", Verb.RESTART, one)


def test_nginx_is_tested_before_it_reloads(catalog: Catalog) -> None:
    web = host("web", [unit("nginx.service", manager="systemd")])
    assert plan(catalog, "nginx", Verb.RELOAD, web).steps[0].preflight == ("/usr/sbin/nginx", "-t")


def test_nginx_under_supervisor_reloads_by_hup(catalog: Catalog) -> None:
    argv = ("nginx: master process /usr/sbin/nginx -g daemon off;",)
    master = Process(10, 77, 0.0, 2, 0, "root", "nginx", argv, "S", 0.0, 1, 1)
    web = host("web", [unit("nginx")], processes=[master])
    step = plan(catalog, "nginx", Verb.RELOAD, web).steps[0]
    assert (step.method, step.master) == ("hup-master", Identity(10, 77))


def test_in_a_container_nothing_of_the_host_is_asked(catalog: Catalog) -> None:
    nginx = replace(unit("tutor_local:nginx", manager="docker"), aliases=("nginx",))
    tutor = host("tutor", [replace(unit("tutor_local:lms", manager="docker"), aliases=("lms",)), nginx])
    (step,) = plan(catalog, "lms@tutor", Verb.RESTART, tutor).steps
    assert (step.manager, step.unit, step.method) == ("docker", "tutor_local:lms", "manager")
    assert [gate.level for gate in step.gates] == [GateLevel.L0, GateLevel.L2], "its ports are not the host's"
    assert step.gates[1].text == "it answers: heartbeat"
    assert plan(catalog, "nginx@tutor", Verb.RESTART, tutor).steps[0].preflight == ()
    with pytest.raises(UsageError, match="tutor_local:nginx can't reload: nothing in its container"):
        plan(catalog, "nginx@tutor", Verb.RELOAD, tutor)
    (step,) = plan(catalog, "lms@tutor", Verb.RELOAD, tutor).steps
    assert (step.method, step.master) == ("manager", Identity()), "no HUP of the host's"
    assert [gate.level for gate in step.gates] == [GateLevel.L0, GateLevel.L2]


def test_gates_and_phrase(catalog: Catalog) -> None:
    one = plan(catalog, "lms@app1", Verb.RESTART, APP1)
    assert [g.level for g in one.steps[0].gates] == list(GateLevel)
    assert phrase(one) == "restart lms app1"
    assert phrase(plan(catalog, "lms", Verb.RESTART, APP1, APP2)) == "restart 2 lms production"


CHANGES: list[Callable[[Step], Step]] = [
    lambda s: replace(s, before=Identity(11, 1)),
    lambda s: replace(s, master=Identity(9, 9)),
    lambda s: replace(s, command="rm"),
    lambda s: replace(s, unit="cms"),
    lambda s: replace(s, host="app2"),
    lambda s: replace(s, method="hup-master"),
    lambda s: replace(s, preflight=("true",)),
    lambda s: replace(s, any_run=True),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_signs_everything_that_decides(catalog: Catalog, change: Callable[[Step], Step]) -> None:
    original = plan(catalog, "lms@app1", Verb.RESTART, APP1)
    changed = replace(original, steps=(change(original.steps[0]),))
    assert changed.digest != original.digest
    assert replace(original, id="another", created=0.0).digest == original.digest


def looping(*, ago: float = 3600, skew: float = 0.0, loops: str = "", **changes: Any) -> HostSnapshot:
    """app1 with an lms that started so long ago on a clock ahead by `skew`, and what is different of it."""
    lms = replace(unit("lms"), since=time.time() + skew - ago, **changes)
    restarting = frozenset({f"{SUPERVISOR}/{loops}"} if loops else ())
    return replace(host("app1", [lms]), skew=skew, restarting=restarting)


@pytest.mark.parametrize(
    "seen",
    [
        {"loops": "lms"},
        {"loops": "lms", "health": UnitHealth.EXITED},
        {"health": UnitHealth.STARTING},
        {"ago": 2},
        {"ago": 2, "skew": 300.0},
    ],
)
@pytest.mark.parametrize("verb", [Verb.STOP, Verb.RESTART])
def test_of_what_restarts_by_itself_any_run_is_meant_and_shown(
    catalog: Catalog, seen: dict[str, Any], verb: Verb
) -> None:
    step = plan(catalog, "lms@app1", verb, looping(**seen)).steps[0]
    assert step.any_run
    assert step.meant_for.startswith("whatever run it is in then")


@pytest.mark.parametrize(
    ("seen", "verb"),
    [
        ({}, Verb.STOP),
        ({}, Verb.RESTART),
        ({"health": UnitHealth.FAILED}, Verb.RESTART),
        ({"health": UnitHealth.STOPPED, "ago": 0}, Verb.RESTART),
        ({"health": UnitHealth.FAILED, "ago": 0}, Verb.START),
        ({"loops": "cms"}, Verb.STOP),
        ({"ago": 2, "skew": -300.0, "health": UnitHealth.STOPPED}, Verb.RESTART),
    ],
)
def test_otherwise_the_run_that_was_confirmed_is_meant(
    catalog: Catalog, seen: dict[str, Any], verb: Verb
) -> None:
    step = plan(catalog, "lms@app1", verb, looping(**seen)).steps[0]
    assert not step.any_run
    assert step.meant_for == f"{step.before}; anything else at that moment stops it"


HEALTHS = st.sampled_from(list(UnitHealth))
COMPONENTS = st.lists(
    st.sampled_from(["lms", "cms", "xqueue", "edxapp_worker:lms_default_1"]), unique=True, min_size=1
)


BUILT_IN = load_catalog()


@given(st.sampled_from(list(Verb)), COMPONENTS, st.lists(HEALTHS, min_size=4, max_size=4), st.booleans())
def test_a_plan_only_ever_holds_what_was_selected_and_would_change(
    verb: Verb, chosen: list[str], healths: list[UnitHealth], live: bool
) -> None:
    units = [
        unit(name, health, pid=10 + i) for i, (name, health) in enumerate(zip(chosen, healths, strict=False))
    ]
    app1 = host("app1", units, Link.LIVE if live else Link.LOST)
    try:
        targets = select(BUILT_IN, "@app1", verb, app1, APP2)
    except PreflightFailed:
        assert not live
        return
    except UsageError:
        assert verb is not Verb.RESTART
        return
    assert live
    assert {t.host for t in targets} == {"app1"}
    assert {t.unit.name for t in targets} <= set(chosen)
    if verb is Verb.RESTART:
        assert len(targets) == len(units)
    assert not any(verb is Verb.START and t.unit.health is UnitHealth.RUNNING for t in targets)
    assert not any(verb is Verb.STOP and t.unit.health is UnitHealth.STOPPED for t in targets)
