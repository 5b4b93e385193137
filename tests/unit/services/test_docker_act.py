"""Docker as a ServiceManager: the grace is the catalog's, and what is not certain is not done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.units import Identity, UnitHealth
from edxconsole.errors import (
    ActFailed,
    IdentityDrift,
    NotConfirmed,
    ServiceFault,
    UnitUnknown,
)
from edxconsole.services import docker_client
from edxconsole.services.base import ActOutcome, Permit, Verb
from edxconsole.services.docker import DockerManager
from tests.unit.services.docker_standin import Bad, Standin, endless, says, silent, streamed, whole
from tests.unit.services.here import Here

CATALOG = load_catalog()
LMS = "tutor_local:lms"


@pytest.fixture
async def manager(standin: Standin, here: Here) -> AsyncIterator[DockerManager]:
    made = DockerManager(here, CATALOG, standin.socket)
    yield made
    await made.close()


async def act(manager: DockerManager, name: str, verb: Verb, deadline: float = 5.0) -> ActOutcome:
    before = (await manager.observe(name)).identity
    return await manager.act(name, verb, permit=Permit("plan", "here", name, verb, before), deadline=deadline)


def posts(standin: Standin) -> list[str]:
    return [asked for asked in standin.asked if asked.startswith("POST")]


async def test_it_lists_and_observes(manager: DockerManager) -> None:
    units = {unit.name: unit for unit in await manager.list()}
    assert len(units) == 9
    assert await manager.observe(LMS) == units[LMS]
    for nonsense in ("lms", "tutor_local:nosuch", "", "a:../b"):
        with pytest.raises(UnitUnknown):
            await manager.observe(nonsense)


async def test_capabilities(manager: DockerManager) -> None:
    found = await manager.capabilities()
    assert found.version == "20.10.24+dfsg1"
    assert found.verbs == frozenset(Verb)


@pytest.mark.parametrize(
    ("service", "verb", "command"),
    [
        ("lms-worker", Verb.STOP, "docker stop --time 300 tutor_local-lms-worker-1"),
        ("lms-worker", Verb.RESTART, "docker restart --time 300 tutor_local-lms-worker-1"),
        ("lms-worker", Verb.START, "docker start tutor_local-lms-worker-1"),
        ("mysql", Verb.RESTART, "docker restart --time 300 tutor_local-mysql-1"),
        ("lms", Verb.RESTART, "docker restart tutor_local-lms-1"),
        ("smtp", Verb.STOP, "docker stop tutor_local-smtp-1"),
    ],
)
async def test_the_grace_is_the_catalogs_never_dockers_ten_seconds_for_a_worker(
    manager: DockerManager, service: str, verb: Verb, command: str
) -> None:
    name = f"tutor_local:{service}"
    if verb is not Verb.START:
        assert command.split("tutor_local")[0] in manager.command(name, verb), "known before it was seen"
    await manager.observe(name)
    assert manager.command(name, verb) == command


@pytest.mark.parametrize(("own", "used"), [(400, "400"), (5, "300"), (-1, "-1")])
async def test_a_longer_grace_of_the_containers_own_counts(
    standin: Standin, manager: DockerManager, own: int, used: str
) -> None:
    standin.inspect[standin.ident("mysql")]["Config"]["StopTimeout"] = own
    await manager.observe("tutor_local:mysql")
    assert manager.command("tutor_local:mysql", Verb.STOP) == f"docker stop --time {used} tutor_local-mysql-1"


async def test_an_act_is_one_call_to_the_containers_id(standin: Standin, manager: DockerManager) -> None:
    ident = standin.ident("cms")
    with pytest.raises(ActFailed, match=r"start tutor_local:cms: it is exited \(137\)"):
        await act(manager, "tutor_local:cms", Verb.START)
    assert posts(standin) == [f"POST /containers/{ident}/start"]


async def test_a_restart_that_leaves_the_same_run_failed(standin: Standin, manager: DockerManager) -> None:
    with pytest.raises(ActFailed, match="restart tutor_local:lms: it is running"):
        await act(manager, LMS, Verb.RESTART)


async def test_what_is_so_already_is_left_alone(standin: Standin, manager: DockerManager) -> None:
    assert (await act(manager, LMS, Verb.START)).already
    assert (await act(manager, "tutor_local:permissions", Verb.STOP)).already
    assert not posts(standin)


async def test_nothing_is_done_to_what_was_not_confirmed(standin: Standin, manager: DockerManager) -> None:
    now = (await manager.observe(LMS)).identity
    for before in (
        Identity(),
        Identity(now.pid, now.start, "0" * 64),
        Identity(now.pid, 1, now.invocation),
        Identity(invocation=now.invocation),
    ):
        permit = Permit("plan", "here", LMS, Verb.RESTART, before)
        with pytest.raises(IdentityDrift):
            await manager.act(LMS, Verb.RESTART, permit=permit, deadline=5)
    permit = Permit("plan", "here", "tutor_local:cms", Verb.STOP, now)
    with pytest.raises(NotConfirmed):
        await manager.act(LMS, Verb.STOP, permit=permit, deadline=5)
    assert not posts(standin)


async def test_a_frozen_container_is_not_killed_by_a_stop(standin: Standin, manager: DockerManager) -> None:
    for verb in (Verb.STOP, Verb.RESTART):
        with pytest.raises(ServiceFault, match="docker unpause tutor_local-caddy-1 first"):
            await act(manager, "tutor_local:caddy", verb)
    with pytest.raises(ServiceFault, match="has no reload"):
        await act(manager, "tutor_local:caddy", Verb.RELOAD)
    assert not posts(standin)


async def test_without_an_answer_it_is_said_that_docker_goes_on(
    standin: Standin, manager: DockerManager
) -> None:
    standin.bad[f"/containers/{standin.ident('lms')}/stop"] = silent
    with pytest.raises(ActFailed, match=r"no whole answer within 0\.3 s; Docker goes on with it there"):
        await act(manager, LMS, Verb.STOP, deadline=0.3)
    assert len(posts(standin)) == 1, "it is never repeated"


async def test_one_that_had_to_be_killed_is_said_to_be(standin: Standin, manager: DockerManager) -> None:
    lms = standin.inspect[standin.ident("lms")]

    async def stopped(writer: object) -> None:
        lms["State"] |= {"Status": "exited", "Pid": 0, "ExitCode": 137}
        await says(b"HTTP/1.1 204 No Content\r\n\r\n")(writer)  # type: ignore[arg-type]

    standin.bad[f"/containers/{standin.ident('lms')}/stop"] = stopped
    outcome = await act(manager, LMS, Verb.STOP)
    assert outcome.detail == "exited (137), it did not end by itself and was killed"
    assert (await manager.observe(LMS)).health is UnitHealth.STOPPED


async def test_a_reload_runs_what_the_catalog_says_in_the_container(
    standin: Standin, manager: DockerManager
) -> None:
    lms = standin.ident("lms")
    await manager.observe(LMS)
    assert manager.command(LMS, Verb.RELOAD) == "docker exec tutor_local-lms-1 reload-uwsgi"
    outcome = await act(manager, LMS, Verb.RELOAD)
    assert outcome.detail == "reload-uwsgi ended with status 0: bad | hi"
    assert posts(standin) == [f"POST /containers/{lms}/exec", f"POST /exec/{'e' * 64}/start"]
    (wish,) = (json.loads(body) for body in standin.bodies if b"Cmd" in body)
    assert wish == {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": ["reload-uwsgi"]}
    standin.exit_status = 3
    with pytest.raises(ActFailed, match=r"reload-uwsgi ended with status 3: bad \| hi"):
        await act(manager, LMS, Verb.RELOAD)


async def test_a_reload_is_for_the_run_that_was_confirmed(standin: Standin, manager: DockerManager) -> None:
    now = (await manager.observe(LMS)).identity
    old = Identity(now.pid, (now.start or 0) - 1, now.invocation)
    permit = Permit("plan", "here", LMS, Verb.RELOAD, old)
    with pytest.raises(IdentityDrift):
        await manager.act(LMS, Verb.RELOAD, permit=permit, deadline=5)
    standin.bad[f"/containers/{standin.ident('lms')}/exec"] = says(
        whole(b'{"message":"No such container"}', "404 Not Found")
    )
    with pytest.raises(UnitUnknown):
        await act(manager, LMS, Verb.RELOAD)
    assert not [asked for asked in posts(standin) if asked.endswith("/start")]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (silent, "no answer within 0.3 s"),
        (says(b"HTTP/1.1 200 OK\r\n\r\n"), "it did not end within 0.5 s"),
        (endless, "not made of frames"),
        (says(b"", close=True), "the connection ended before the answer did"),
    ],
)
async def test_a_reload_that_stalls_or_floods_is_bounded(
    standin: Standin, manager: DockerManager, monkeypatch: pytest.MonkeyPatch, bad: Bad, said: str
) -> None:
    monkeypatch.setattr(docker_client, "TIMEOUT", 0.3)
    standin.bad["/exec/" + "e" * 64 + "/start"] = bad
    with pytest.raises(ActFailed, match=said) as caught:
        await act(manager, LMS, Verb.RELOAD, deadline=0.5)
    assert "reload-uwsgi was started there: " in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_of_what_a_reload_prints_the_end_is_kept(standin: Standin, manager: DockerManager) -> None:
    message = b"x" * 1000 + b"\n"
    flood = (b"\1\0\0\0" + len(message).to_bytes(4, "big") + message) * 2000
    standin.bad["/exec/" + "e" * 64 + "/start"] = says(streamed(flood + b"\2\0\0\0\0\0\0\4last"))
    outcome = await act(manager, LMS, Verb.RELOAD)
    assert outcome.detail.endswith(" | last")
    assert len(outcome.detail) < 250
