"""What Docker's API tells of containers, recorded from dockerd 20.10.24, becomes units."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edxconsole.cluster.text import clean_text
from edxconsole.cluster.units import Identity, UnitHealth
from edxconsole.services.docker_units import (
    ONE_OFF,
    Container,
    Place,
    by_name,
    chosen,
    place_of,
    places_of,
    stamp,
    to_container,
)

RECORDED: Any = json.loads((Path(__file__).parent / "docker_api" / "20.10.24.json").read_text())


def container(service: str, **state: object) -> Container:
    """As recorded, with some of its state changed."""
    told = copy.deepcopy(RECORDED["inspect"][service])
    told["State"] |= state
    found = to_container(told)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("service", "word", "health", "detail"),
    [
        ("lms", "running (healthy)", UnitHealth.RUNNING, ""),
        ("lms-worker", "running", UnitHealth.RUNNING, ""),
        ("mysql", "running (unhealthy)", UnitHealth.FAILED, "its own health check fails"),
        ("cms", "exited (137)", UnitHealth.STOPPED, ""),  # unless-stopped, so somebody stopped it
        ("permissions", "exited (0)", UnitHealth.EXITED, ""),
        ("smtp", "exited (7)", UnitHealth.FAILED, ""),
        ("mongodb", "restarting (3)", UnitHealth.FAILED, "in a crash loop, restarted 9 times by Docker"),
        ("redis", "exited (137)", UnitHealth.FAILED, "out of memory: the kernel killed a process of it"),
        ("caddy", "paused", UnitHealth.FAILED, "frozen by docker pause"),
    ],
)
def test_recorded_containers(service: str, word: str, health: UnitHealth, detail: str) -> None:
    found = container(service)
    unit = found.unit
    assert (unit.manager, unit.name, unit.aliases) == ("docker", f"tutor_local:{service}", (service,))
    assert found.name == f"tutor_local-{service}-1"
    assert (unit.word, unit.health, unit.detail) == (word, health, detail)
    assert "hunter2" not in repr(found), "its environment has passwords"


def test_what_docker_counts_is_told_in_its_own_words() -> None:
    mongodb, redis, lms = (container(s).unit.container for s in ("mongodb", "redis", "lms"))
    assert mongodb is not None
    assert (mongodb.status, mongodb.restarts, mongodb.exit_code) == ("restarting", 9, 3)
    assert redis is not None
    assert (redis.status, redis.oom_killed, redis.exit_code) == ("exited", True, 137)
    assert lms is not None
    assert (lms.health, lms.exit_code, lms.oom_killed) == ("healthy", None, False)
    assert lms.id == RECORDED["inspect"]["lms"]["Id"][:12]
    assert lms.image == "overhangio/openedx:22.0.3-lab"
    assert container("lms").unit.log_paths == ("docker:tutor_local:lms",)
    assert (container("lms").tty, container("lms").log_driver) == (False, "json-file")


def test_identity_is_the_container_and_its_start() -> None:
    state = RECORDED["inspect"]["lms"]["State"]
    unit = container("lms").unit
    ident = RECORDED["inspect"]["lms"]["Id"]
    assert unit.identity == Identity(state["Pid"], 1795410910_881799417, ident)
    assert unit.since == pytest.approx(1795410910.881799)
    again = container("lms", StartedAt="2026-11-23T05:15:10.881799418Z").unit
    assert again.identity != unit.identity
    stopped = container("cms").unit
    assert stopped.identity == Identity(invocation=RECORDED["inspect"]["cms"]["Id"])
    assert stopped.since == pytest.approx(1795410926.993462)


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ({"Health": {"Status": "starting"}}, UnitHealth.STARTING),
        ({"Status": "created"}, UnitHealth.STOPPED),
        ({"Status": "removing"}, UnitHealth.STOPPING),
        ({"Status": "dead"}, UnitHealth.FAILED),
        ({"Status": "what"}, UnitHealth.UNKNOWN),
        ({"Status": "exited", "Error": "no such file"}, UnitHealth.FAILED),
    ],
)
def test_states_that_were_not_recorded(state: dict[str, object], health: UnitHealth) -> None:
    assert container("lms", **state).unit.health is health


def test_labels_say_what_a_container_is_and_one_offs_are_nothing() -> None:
    labels = RECORDED["inspect"]["lms"]["Config"]["Labels"]
    assert place_of(labels) == Place("tutor_local", "lms")
    assert str(place_of(labels | {"com.docker.compose.container-number": "3"})) == "tutor_local:lms-3"
    assert place_of(labels | {ONE_OFF: "True"}) is None
    for nonsense in ("", "../x", "a b", "\x1b[31m", "x" * 101, None, 3, ["lms"]):
        assert place_of(labels | {"com.docker.compose.service": nonsense}) is None
    assert place_of(None) is None


def test_a_name_means_one_place_or_two() -> None:
    assert places_of("tutor_local:lms") == (Place("tutor_local", "lms"),)
    assert places_of("p:lms-2") == (Place("p", "lms-2"), Place("p", "lms", 2))
    assert places_of("p:lms-1") == (Place("p", "lms-1"),)
    assert places_of("lms") == places_of("p:a/b") == places_of("") == ()


def test_of_two_that_claim_a_place_the_running_then_the_newer_is_meant() -> None:
    old, new = container("cms"), container("cms")
    new = Container("f" * 64, new.name, new.place, new.unit, "2027-01-01T00:00:00Z")
    assert chosen([old, new]) is new
    runs = container("cms", Status="running", Pid=7)
    assert chosen([runs, new]) is runs
    assert by_name([new, runs, old]) == {"tutor_local:cms": runs}


def test_stamps() -> None:
    assert stamp("0001-01-01T00:00:00Z") is None
    assert stamp("1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert stamp("1970-01-01T00:00:02Z") == 2_000_000_000
    assert stamp("2026-13-01T00:00:00Z") is stamp("") is stamp("yesterday") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    path=st.sampled_from(
        [("Id",), ("Config",), ("State",), ("HostConfig",), ("RestartCount",), ("Name",), ("Created",),
         ("Config", "Labels"), ("Config", "StopTimeout"), ("HostConfig", "RestartPolicy"),
         *(("State", key) for key in RECORDED["inspect"]["lms"]["State"])]
    ),
    value=JSON,
)  # fmt: skip
def test_whatever_stands_in_a_field_nothing_is_raised_and_nothing_unfit_is_shown(
    path: tuple[str, ...], value: object
) -> None:
    told = copy.deepcopy(RECORDED["inspect"]["lms"])
    parent = told
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    found = to_container(told)
    if found is not None:
        shown = f"{found.unit.word}{found.unit.detail}{found.unit.name}{found.name}"
        assert clean_text(shown) == shown
        assert len(shown.splitlines()) == 1
        assert len(shown) < 1000
