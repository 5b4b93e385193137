"""What containers print is a log source of their component; the pane and the follower know it by its path."""

from __future__ import annotations

from dataclasses import replace

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Instance, Link, State
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.logs.containers import ContainerFollower, followers
from edxconsole.logs.follow import LogFollower
from edxconsole.logs.model import LogFeed, LogSource
from edxconsole.logs.sources import log_sources

CATALOG = load_catalog()


def unit(service: str) -> Unit:
    name = f"tutor_local:{service}"
    return Unit(
        "docker", name, "running", UnitHealth.RUNNING, Identity(7, 1, "a" * 64),
        log_paths=(f"docker:{name}",), aliases=(service,),
    )  # fmt: skip


def snapshot(*units: Unit) -> ClusterSnapshot:
    keys = {f"docker/{u.name}": u for u in units}
    lms = Instance("lms", "tutor", State.UP, "", None, units=("docker/tutor_local:lms",))
    host = HostSnapshot("tutor", 1, Link.LIVE, "", 0.0, units=keys, instances=(lms,))
    return ClusterSnapshot(1, "c", "staging", {"tutor": host}, ())


def test_a_containers_output_is_its_components_log() -> None:
    found = log_sources(CATALOG, snapshot(unit("lms"), unit("lms-worker"), unit("unknown-thing")), ["tutor"])
    assert found == [
        LogSource("tutor", "docker:tutor_local:lms", "lms", "lms", "uwsgi"),
        LogSource("tutor", "docker:tutor_local:lms-worker", "edxapp_worker", "lms-worker", "edx_console"),
        LogSource("tutor", "docker:tutor_local:unknown-thing", "", "unknown-thing", "plain"),
    ], "none of the host's files of LMS"
    assert log_sources(CATALOG, snapshot(unit("lms")), ["tutor"], ["cms"]) == []


def test_files_and_containers_have_their_own_followers() -> None:
    file = LogSource("tutor", "/var/log/syslog")
    container = LogSource("tutor", "docker:tutor_local:lms")
    kinds = [type(f) for f in followers([file, container, replace(file, path="/x")], LogFeed(), 10)]
    assert kinds == [LogFollower, ContainerFollower]
    assert [type(f) for f in followers([file], LogFeed(), 10)] == [LogFollower]
    assert followers([], LogFeed(), 10) == []
