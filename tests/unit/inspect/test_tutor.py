"""What Docker tells of a Tutor project's containers, as it should be and as nothing should.

A real dockerd is asked in tests/hosts/test_inspect_tutor.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.inspect import tutor
from edxconsole.inspect.celery import inspect_celery
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.registry import INSPECTORS
from edxconsole.services.docker_units import address_of
from edxconsole.transport.base import UnixEndpoint
from tests.support.web_api import StandIn
from tests.unit.inspect.stage import Stage, look, snapshot

IDS = {"lms-worker": "a" * 64, "redis": "b" * 64}


def container(address: str, *, root: str = "/srv/tutor/env/local", pid: int = 7) -> dict[str, object]:
    labels = {"com.docker.compose.project.working_dir": root}
    return {
        "Config": {"Labels": labels, "Hostname": "4f2a"},
        "State": {"Pid": pid},
        "HostConfig": {"NetworkMode": "tutor_local_default"},
        "NetworkSettings": {"Networks": {"tutor_local_default": {"IPAddress": address}}},
    }


@asynccontextmanager
async def docker(
    pages: Mapping[str, object], path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A stand-in of dockerd's socket that tells this of each container."""
    told = {f"/containers/{IDS[name]}/json": page for name, page in pages.items()}
    stand_in = StandIn(told)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await stand_in.serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(client, path / "docker.sock")
    monkeypatch.setitem(INSPECTORS, "edxapp_worker", inspect_celery)
    monkeypatch.setattr(tutor, "SOCKET", UnixEndpoint(str(path / "docker.sock")))
    try:
        yield
    finally:
        server.close()


async def of_worker(stage: Stage) -> Inspection:
    """Of the worker's containers in a host of which Docker's units are known."""
    units = {
        f"docker/tutor_local:{name}": Unit(
            manager="docker",
            name=f"tutor_local:{name}",
            word="running",
            health=UnitHealth.RUNNING,
            identity=Identity(pid=7, invocation=ident),
        )
        for name, ident in IDS.items()
    }
    host = snapshot("edxapp_worker", units=units)
    (instance,) = host.instances
    object.__setattr__(instance, "units", ("docker/tutor_local:lms-worker",))
    return await look("edxapp_worker", stage, host)


async def test_a_service_of_the_project_is_found_at_its_address(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "CELERY_BROKER_TRANSPORT": "redis",
        "CELERY_BROKER_HOSTNAME": "redis:1",
        "CELERY_BROKER_VHOST": "0",
    }
    stage.script = {"sh -c": (0, json.dumps(said), "")}
    async with docker(
        {"lms-worker": container("127.0.0.1"), "redis": container("127.0.0.2")}, tmp_path, monkeypatch
    ):
        found = await of_worker(stage)
    (broker,) = found.section("brokers").table("brokers").rows
    assert broker["broker"] == "redis at 127.0.0.2:1, database 0"
    read = [line for _, line in stage.ran if "env.yml" in line]
    assert read
    assert all("/srv/tutor/env/apps/openedx/config/" in line for line in read)


@pytest.mark.parametrize("root", ["/srv/../etc/env/local", "srv/env/local", "/srv/env", "", "/a\n/env/local"])
async def test_a_root_that_is_none_is_not_read(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    async with docker({name: container("127.0.0.1", root=root) for name in IDS}, tmp_path, monkeypatch):
        found = await of_worker(stage)
    (missing,) = found.missing
    assert missing.what == "broker"
    assert stage.ran == []


async def test_a_docker_that_does_not_tell(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhat?"
    async with docker({"lms-worker": nonsense, "redis": 500}, tmp_path, monkeypatch):
        found = await of_worker(stage)
    assert [m.what for m in found.missing] == ["containers", "containers", "broker"]
    assert not found.findings


TREE = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | st.from_regex(r"[0-9a-f.:]{1,15}"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["Networks", "IPAddress", "NetworkMode"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["NetworkSettings", "HostConfig"]), TREE))
def test_any_answer_gives_an_address_or_none(told: dict[str, Any]) -> None:
    assert isinstance(address_of(told), str)
