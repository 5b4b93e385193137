"""The configuration of LMS, Studio and workers in containers, as Docker's mounts and variables tell.

The files are those of tutor 22.0.3 (golden); a real dockerd is asked in tests/hosts/test_inspect_tutor.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.cluster.model import HostSnapshot, Process
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import PermissionMissing
from edxconsole.inspect import edxapp, edxapp_endpoints, tutor
from edxconsole.inspect.container_files import Inside, inside_of, is_path
from edxconsole.inspect.drift_facts import facts_of
from edxconsole.inspect.edxapp import inspect_edxapp
from edxconsole.inspect.edxapp_endpoints import NO_SUCH, STOPPED, UNRESOLVED, WITHIN
from edxconsole.inspect.edxapp_files import VARIANTS, statuses
from edxconsole.inspect.edxapp_tutor import Reader, told_of, unlike
from edxconsole.inspect.model import Inspection, Section
from edxconsole.inspect.registry import INSPECTORS
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import Project
from edxconsole.transport.base import UnixEndpoint
from tests.support.web_api import StandIn
from tests.unit.inspect.stage import CATALOG, Stage, look, process, served, sight, snapshot

GOLDEN = Path(__file__).with_name("golden")
PID, NOW = 7, time.time()
SECRETS = ("VL8sAPeTt3uxW8SwLHi8XQwx", "dJvcABAp", "9QVGOTA3v0nx7KobNVuYF3H5")


def render(root: Path, *, changed: float = NOW - 3600, port: int = 3306) -> dict[str, Path]:
    """What Tutor writes of the LMS and Studio under its root; MySQL's port is the one given."""
    files: dict[str, Path] = {}
    apps = root / "env/apps/openedx"
    for name in ("lms", "cms"):
        files[f"{name}.yml"] = apps / "config" / f"{name}.env.yml"
        files[f"{name}.py"] = apps / "settings" / name / "production.py"
        for key, source in ((f"{name}.yml", f"{name}.env.yml"), (f"{name}.py", f"{name}.production.txt")):
            files[key].parent.mkdir(parents=True, exist_ok=True)
            text = (GOLDEN / f"tutor-22.0.3-{source}").read_text()
            files[key].write_text(text.replace("3306", str(port)))
            os.utime(files[key], (changed, changed))
    return files


def container(
    root: Path, variant: str, *, address: str = "127.0.0.1", pid: int = PID, **changes: Any
) -> dict[str, Any]:
    """What Docker tells of a container that Tutor's compose file made."""
    apps, platform = f"{root}/env/apps/openedx", "/openedx/edx-platform"
    mounts = {f"{apps}/config": "/openedx/config"}
    mounts |= {f"{apps}/settings/{name}": f"{platform}/{name}/envs/tutor" for name in ("lms", "cms")}
    told = {
        "LMS_CFG": "/openedx/config/lms.env.yml",
        "CMS_CFG": "/openedx/config/cms.env.yml",
        "SERVICE_VARIANT": variant,
        "DJANGO_SETTINGS_MODULE": f"{variant}.envs.tutor.production",
        "SOME_PASSWORD": "hunter2",
    }
    said = {"env": told, "mounts": mounts, **changes}
    return {
        "Config": {
            "Labels": {"com.docker.compose.project.working_dir": f"{root}/env/local"},
            "Env": [f"{name}={value}" for name, value in said["env"].items()],
            "WorkingDir": platform,
        },
        "Mounts": [{"Type": "bind", "Source": s, "Destination": d} for s, d in said["mounts"].items()],
        "State": {
            "Pid": pid,
            "StartedAt": datetime.fromtimestamp(NOW - 600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "HostConfig": {"NetworkMode": "tutor_local_default"},
        "NetworkSettings": {"Networks": {"tutor_local_default": {"IPAddress": address}}},
    }


def host_of(
    services: Sequence[str], component: str, own: Sequence[str], rows: Sequence[Process]
) -> HostSnapshot:
    units = {
        f"docker/tutor_local:{name}": Unit(
            manager="docker",
            name=f"tutor_local:{name}",
            word="running",
            health=UnitHealth.RUNNING,
            identity=Identity(pid=PID, invocation=f"{index:064x}"),
        )
        for index, name in enumerate(services)
    }
    host = snapshot(component, [replace(row, contained=True) for row in rows], units=units)
    (instance,) = host.instances
    return replace(host, instances=(replace(instance, units=tuple(f"docker/tutor_local:{n}" for n in own)),))


@asynccontextmanager
async def docker(
    pages: Mapping[str, object], path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A stand-in of dockerd's socket that tells this of each container, in their order."""
    told = {f"/containers/{index:064x}/json": page for index, page in enumerate(pages.values())}
    stand_in = StandIn(told)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await stand_in.serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(client, path / "docker.sock")
    for component in ("lms", "cms", "edxapp_worker"):
        monkeypatch.setitem(INSPECTORS, component, inspect_edxapp)
    monkeypatch.setattr(tutor, "SOCKET", UnixEndpoint(str(path / "docker.sock")))
    try:
        yield
    finally:
        server.close()


@pytest.fixture(autouse=True)
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that knows no name, whatever this machine knows."""

    async def none(_: Sight, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(names, ())

    monkeypatch.setattr(edxapp_endpoints, "resolve", none)


@pytest.fixture(autouse=True)
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The containers are none, so nothing is seen in them."""

    async def alike(*_: object) -> None:
        return None

    monkeypatch.setattr(edxapp, "unlike", alike)


@pytest.fixture
def opened(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An inspection of a component in a host whose Docker tells these of its services."""

    async def inspected(
        pages: Mapping[str, object],
        component: str = "lms",
        own: Sequence[str] = ("lms",),
        rows: Sequence[Process] = (),
    ) -> Inspection:
        async with docker(pages, tmp_path, monkeypatch):
            return await look(component, stage, host_of(list(pages), component, own, rows))

    return inspected


def configuration(found: Inspection, name: str = "configuration") -> Section:
    return found.section(name)


def answers(section: Section) -> dict[str, str]:
    return {str(r["address"]): str(r["answer"]) for r in section.table("endpoints").rows}


async def test_the_files_that_docker_mounts_are_in_force(opened: Any, tmp_path: Path) -> None:
    async with served(_hello) as port:
        files = render(tmp_path, port=port)
        gone = container(tmp_path, "x", pid=0)
        pages = {"lms": container(tmp_path, "lms"), "mysql": container(tmp_path, "x"), "redis": gone}
        found = await opened(pages)
    section = configuration(found)
    assert (
        section.fact("told_by") == "LMS_CFG of tutor_local:lms and lms.envs.tutor.production; mounts (Docker)"
    )
    rows = {r["file"]: r["read"] for r in section.table("files").rows}
    assert rows == {str(files["lms.yml"]): True, str(files["lms.py"]): True}
    said = answers(section)
    assert said[f"mysql:{port}"] == "answers"
    assert said["redis:6379"] == STOPPED
    assert said["mongodb:27017"] == NO_SUCH
    needed = [f.text for f in found.findings]
    assert f"redis at redis:6379, named by CELERY_BROKER_HOSTNAME: {STOPPED}" in needed
    assert f"mongodb at mongodb:27017, named by DOC_STORE_CONFIG.host: {NO_SUCH}" in needed
    assert not found.missing
    assert [text for text in (*SECRETS, "hunter2") if text in repr(found)] == []


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def test_a_later_file_replaces_settings(opened: Any, tmp_path: Path) -> None:
    files = render(tmp_path)
    files["lms.yml"].write_text(
        "DOC_STORE_CONFIG: {host: old}\nA: 1\nJWT_AUTH: {X: 1}\nINSTALLED_APPS: [a]\n"
    )
    section = configuration(await opened({"lms": container(tmp_path, "lms")}))
    rows = {r["key"]: (r["value"], r["file"]) for r in section.table("settings").rows}
    assert rows["DOC_STORE_CONFIG.host"] == ("mongodb", str(files["lms.py"]))
    assert rows["JWT_AUTH.X"] == ("1", str(files["lms.yml"]))
    assert "old:27017" not in answers(section)
    assert "INSTALLED_APPS" in {r["key"] for r in section.table("computed").rows}


async def test_a_copy_that_is_not_mounted_is_stale(opened: Any, tmp_path: Path) -> None:
    other = tmp_path / "moved"
    files, copies = render(other), render(tmp_path)
    page = container(other, "cms")
    page["Config"]["Labels"] = {"com.docker.compose.project.working_dir": f"{tmp_path}/env/local"}
    section = configuration(await opened({"cms": page}, "cms", ["cms"]))
    rows = {r["file"]: r["read"] for r in section.table("files").rows}
    mine, stale = (files["cms.yml"], files["cms.py"]), (copies["cms.yml"], copies["cms.py"])
    assert rows == {**{str(p): True for p in mine}, **{str(p): False for p in stale}}
    assert section.fact("stale_copies") == 2


@pytest.mark.parametrize(("age", "told"), [(900, True), (60, False)])
async def test_a_reload_reads_the_files_anew(opened: Any, tmp_path: Path, age: float, told: bool) -> None:
    """The container and uWSGI's first process are older; its workers may be newer."""
    path = render(tmp_path, changed=NOW - 300)["lms.yml"]
    rows = [
        replace(process(PID, "uwsgi /openedx/uwsgi.ini"), started_at=NOW - 900),
        replace(process(8, "uwsgi /openedx/uwsgi.ini", ppid=PID), started_at=NOW - age),
    ]
    found = await opened({"lms": container(tmp_path, "lms")}, rows=rows)
    assert any(f.text.startswith(f"{path} was changed") for f in found.findings) is told


async def test_workers_have_read_when_their_container_started(opened: Any, tmp_path: Path) -> None:
    """Their pool is replaced now and then, and has what the first process read."""
    path = render(tmp_path, changed=NOW - 300)["lms.yml"]
    rows = [
        replace(process(PID, "/v/python /v/celery --app=lms.celery worker"), started_at=NOW - 600),
        replace(process(8, "/v/python /v/celery --app=lms.celery worker", ppid=PID), started_at=NOW - 10),
    ]
    pages = {"lms-worker": container(tmp_path, "lms"), "cms-worker": container(tmp_path, "cms")}
    found = await opened(pages, "edxapp_worker", list(pages), rows)
    assert any(f.text.startswith(f"{path} was changed") for f in found.findings)
    assert configuration(found, "lms_configuration").fact("containers") == "tutor_local:lms-worker"
    assert configuration(found, "cms_configuration").fact("containers") == "tutor_local:cms-worker"


async def test_containers_that_read_other_files(opened: Any, tmp_path: Path) -> None:
    render(tmp_path)
    other = render(tmp_path / "other")
    pages = {"lms": container(tmp_path, "lms"), "lms-2": container(tmp_path / "other", "lms")}
    found = await opened(pages, "lms", list(pages))
    assert any(
        f.text
        == f"tutor_local:lms-2 reads other files than tutor_local:lms: {other['lms.yml']}, {other['lms.py']}"
        for f in found.findings
    )


async def test_tutors_documented_path_where_docker_tells_none(opened: Any, tmp_path: Path) -> None:
    files = render(tmp_path)
    section = configuration(await opened({"lms": container(tmp_path, "lms", env={}, mounts={})}))
    assert str(section.fact("told_by")).startswith(
        "Tutor's documented path: tutor_local:lms has neither LMS_CFG"
    )
    assert [r["file"] for r in section.table("files").rows] == [str(files["lms.yml"]), str(files["lms.py"])]


async def test_a_file_of_the_image_is_missing(opened: Any, tmp_path: Path) -> None:
    files = render(tmp_path)
    found = await opened({"lms": container(tmp_path, "lms", mounts={})})
    missing = {m.what: m.cause for m in found.missing}
    why = "no mount of tutor_local:lms has it: it is part of the container's image"
    assert missing == {
        "settings of /openedx/config/lms.env.yml": why,
        "settings of lms.envs.tutor.production": why,
    }
    rows = {r["file"]: r["read"] for r in configuration(found).table("files").rows}
    assert rows == {str(files["lms.yml"]): False, str(files["lms.py"]): False}


async def test_without_rights_it_says_what_would_help(opened: Any, stage: Stage, tmp_path: Path) -> None:
    render(tmp_path)
    stage.script = {"sh -c": (77, "", "")}
    pages = {"lms": container(tmp_path, "lms")}
    found = await _unprivileged(opened, pages)
    told = {m.what: m for m in found.missing}
    path = f"{tmp_path}/env/apps/openedx/config/lms.env.yml"
    assert told[f"settings of {path}"].cause == f"ops may not read {path}"
    assert "NOPASSWD: /usr/bin/head" in told[f"settings of {path}"].remedy
    assert "NOPASSWD: /usr/bin/stat" in told[f"when {path} was changed"].remedy
    assert not found.findings


async def _unprivileged(opened: Any, pages: Mapping[str, object]) -> Inspection:
    with pytest.MonkeyPatch.context() as patch:
        made = Sight.__init__

        def without(self: Sight, *args: Any, **kwargs: Any) -> None:
            made(self, *args, **{**kwargs, "sudo": False})

        patch.setattr(Sight, "__init__", without)
        found: Inspection = await opened(pages)
        return found


async def test_a_docker_that_does_not_tell(opened: Any) -> None:
    found = await opened({"lms": 500})
    assert [m.what for m in found.missing] == ["containers", "configuration"]
    assert not found.findings


async def test_what_is_in_the_container_itself_is_not_asked(opened: Any, tmp_path: Path) -> None:
    files = render(tmp_path)
    files["lms.yml"].write_text("DATABASES: {default: {ENGINE: mysql, HOST: localhost}}\n")
    files["lms.py"].write_text("")
    page = container(tmp_path, "lms", address="127.0.0.9")
    found = await opened({"lms": page})
    assert answers(configuration(found)) == {"localhost:3306": WITHIN}
    assert not [f for f in found.findings if "mysql" in f.text]


async def test_a_name_that_the_host_is_slow_to_tell_is_unknown(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object) -> dict[str, tuple[str, ...]]:
        return {}

    monkeypatch.setattr(edxapp_endpoints, "resolve", slow)
    render(tmp_path)
    found = await opened({"lms": container(tmp_path, "lms")})
    assert answers(configuration(found))["mongodb:27017"] == UNRESOLVED
    assert not found.findings


async def test_what_a_mount_leads_to_may_be_gone(stage: Stage, tmp_path: Path) -> None:
    """With a process of this machine for a container's: what it has is at its own root."""
    path, mounted, gone = (tmp_path / name for name in ("lms.env.yml", "mounted.yml", "gone.yml"))
    path.write_text("A: 1\n")
    mounted.write_text("A: 12\n")
    reader, looking = Reader("p:lms", Inside("lms", pid=os.getpid())), sight(stage, "lms")
    there = await statuses(looking, [str(path)])
    assert await unlike(looking, reader, (str(path), str(path)), there) is None
    said = await unlike(looking, reader, (str(mounted), str(path)), there)
    assert said is not None
    assert said.startswith(f"p:lms has another {mounted}: what it mounted was replaced by {path}")
    said = await unlike(looking, reader, (str(gone), str(path)), there)
    assert said is not None
    assert said.startswith(f"p:lms no longer has {gone}: ")
    ended = Reader("p:lms", Inside("lms", pid=2**30))
    assert await unlike(looking, ended, (str(gone), str(path)), there) is None
    with pytest.raises(PermissionMissing, match="only root can look into it"):
        await unlike(sight(stage, "lms", sudo=False), reader, (str(path), str(path)), there)


async def test_drift_compares_what_the_containers_read(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(tmp_path)
    async with docker({"lms": container(tmp_path, "lms")}, tmp_path, monkeypatch):
        facts = await facts_of(_sight(stage, host_of(["lms"], "lms", ["lms"], ())), b"salt" * 4)
    said = {s.name: s for s in facts.said if s.kind == "lms_setting"}
    assert said["DATABASES.default.HOST"].shown == "mysql"
    assert said["DOC_STORE_CONFIG.host"].shown == "mongodb"
    assert "DOC_STORE_CONFIG" not in said
    assert said["JWT_AUTH.JWT_SECRET_KEY"].secret
    assert not [u for u in facts.unread if u.kind == "lms_setting"]
    async with docker({"lms": 500}, tmp_path, monkeypatch):
        facts = await facts_of(_sight(stage, host_of(["lms"], "lms", ["lms"], ())), b"salt" * 4)
    assert [u.kind for u in facts.unread if u.kind.endswith("_setting")] == ["lms_setting"]


def _sight(stage: Stage, host: HostSnapshot) -> Sight:
    component = CATALOG.get("lms")
    assert component is not None
    return Sight(stage, host, component, host.instances[0], sudo=True)


@pytest.mark.parametrize(
    ("mounts", "path", "found"),
    [
        ({"/openedx/config": "/r/config"}, "/openedx/config/a.yml", "/r/config/a.yml"),
        ({"/openedx/config/a.yml": "/r/a.yml", "/openedx": "/s"}, "/openedx/config/a.yml", "/r/a.yml"),
        ({"/openedx/config": "/r/config"}, "/openedx/configs/a.yml", None),
        ({"/openedx/config": "", "/openedx": "/s"}, "/openedx/config/a.yml", None),
        ({"/openedx/config": "/r"}, "/openedx/config/../../etc/shadow", None),
        ({"/openedx/config": "/r"}, "openedx/config/a.yml", None),
    ],
)
def test_where_the_host_has_a_file(mounts: dict[str, str], path: str, found: str | None) -> None:
    assert Inside("lms", mounts=mounts).on_host(path) == found


def test_what_is_no_settings_file_is_not_read() -> None:
    inside = Inside("lms", {"LMS_CFG": "/m/shadow"}, {"/m": "/etc"})
    told = told_of(Reader("p:lms", inside), VARIANTS["lms"], Project(), ())
    assert told.force.paths == ()
    assert told.lacks == (("settings of /m/shadow", "/etc/shadow is none of .yml, .yaml, .json, .py"),)


ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=12) | st.sampled_from(["LMS_CFG=/a", "/a/../b", "/a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Env", "Source", "Destination", "Pid", "StartedAt"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["Config", "Mounts", "State"]), ANY))
def test_any_answer_of_docker_is_read(told: dict[str, Any]) -> None:
    inside = inside_of(told, "lms")
    assert all(is_path(place) and (not source or is_path(source)) for place, source in inside.mounts.items())
    assert set(inside.variables) <= {"LMS_CFG"}
