"""What belongs together on a host, and how it is named for an action."""

from __future__ import annotations

from dataclasses import replace

from edxconsole.inventory.selectors import parse_selector
from screens import linking
from screens.targets import unit_target
from tests.tui import snapshots
from tests.tui.snapshots import SOCK

APP1 = snapshots.cluster().hosts["app1"]


def test_a_service_lights_its_programs_and_ports() -> None:
    links = linking.of_service(APP1, "c:lms")
    assert links.programs == {f"{SOCK}/lms"}
    assert "tcp/127.0.0.1:8000" in links.ports
    assert links.component == "lms"


def test_a_port_leads_to_its_owner_by_pid_before_any_guess() -> None:
    host = replace(
        APP1,
        instances=tuple(replace(i, pids=(77,) if i.component == "cms" else ()) for i in APP1.instances),
        listeners=(replace(snapshots.listener(8000, "lms"), pid=77),),
    )
    links = linking.of_port(host, "tcp/127.0.0.1:8000")
    assert links.component == "cms"
    assert links.services == {"c:cms"}


def test_a_program_names_one_unit_of_its_component() -> None:
    key = f"{SOCK}/edxapp_worker:lms_high_1"
    links = linking.of_program(APP1, key)
    assert links.programs == {key}
    assert links.services == {"c:edxapp_worker"}
    target = unit_target(APP1.units[key], links.component, "app1")
    assert target.selector == "edxapp_worker:lms_high_1@app1"


def test_odd_unit_names_still_make_a_selector() -> None:
    unit = replace(APP1.units[f"{SOCK}/lms"], name="dev-disk-by\\x2dlabel@1.service")
    selector = parse_selector(unit_target(unit, "", "app1").selector)
    assert selector.matches_unit(unit.name)
    assert selector.host == "app1"


def test_a_key_that_is_gone_links_to_nothing_else() -> None:
    assert linking.of_port(APP1, "tcp/127.0.0.1:1").services == frozenset()
    assert linking.of_service(APP1, "c:gone").programs == frozenset()
