"""Looking at a host: this machine, where commands answer from a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from edxconsole.cluster.model import HostSnapshot, Instance, State
from edxconsole.discovery.look import look
from edxconsole.discovery.model import FoundHost
from edxconsole.errors import CommandFailed, ConnectionLost
from edxconsole.inspect.finding import FOUND, RESOLVED
from tests.unit.discovery.making import CATALOG, process, snapshot
from tests.unit.inspect.stage import Stage, sight

DUMP = (Path(__file__).parents[1] / "inspect" / "golden" / "nginx-T-1.22.1.txt").read_text()
LMS = process(7, "/v/bin/gunicorn -c /edx/app/edxapp/lms_gunicorn.py lms.wsgi")
NGINX = process(8, "nginx: master process /usr/sbin/nginx", user="root")


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.connect()
    yield made
    await made.close()


def host(*runs: str) -> HostSnapshot:
    all_of = {"lms": LMS, "nginx": NGINX}
    processes = {all_of[c].pid: all_of[c] for c in runs}
    instances = tuple(Instance(c, "h", State.UP, "", None, pids=(all_of[c].pid,)) for c in runs)
    return snapshot("h", processes=processes, instances=instances)


def found_script(*paths: str) -> tuple[str, str]:
    return f"sh -c {FOUND}", "addresses\n10.0.0.1 \nfiles\n" + "\n".join(paths) + "\n"


async def looked(stage: Stage, seen: HostSnapshot, *, sudo: bool = True) -> FoundHost:
    return await look(stage, seen, CATALOG, sudo=sudo)


async def test_a_host_with_nothing(stage: Stage) -> None:
    stage.script = dict([found_script()])
    found = await looked(stage, host())
    assert found.reached
    assert found.addresses == {"10.0.0.1"}
    assert (found.running, found.configs, found.missing) == ((), (), ())


async def test_nginx_by_its_own_dump(stage: Stage) -> None:
    stage.script = dict([found_script()]) | {"sh -c \nfor p": "", "sh -c for p": "/usr/sbin/nginx\n"}
    stage.script["/usr/sbin/nginx -T"] = DUMP
    found = await looked(stage, host("nginx"))
    (config,) = found.configs
    assert (config.path, config.upstreams, config.in_force) == ("nginx -T", True, True)
    assert "upstream lms-backend" in {c.key for c in config.claims}
    assert found.missing == ()


async def test_nginx_by_its_files_where_there_is_no_sudo(stage: Stage) -> None:
    site = "upstream lms-backend { server 10.0.0.2:8000; }\n"
    stage.script = dict([found_script()]) | {
        "sh -c for p": "/usr/sbin/nginx\n",
        "sh -c \nIFS=\nfor": f"\n{site}",
    }
    found = await looked(stage, host("nginx"), sudo=False)
    (config,) = found.configs
    assert [(c.host, c.port) for c in config.claims] == [("10.0.0.2", 8000)]
    assert config.why == "its files are read; nginx -T could not be run"
    assert found.missing == ()


async def test_nginx_of_which_nothing_can_be_read_is_missing(stage: Stage) -> None:
    stage.script = dict([found_script()])
    stage.script |= {"sh -c for p": "/usr/sbin/nginx\n", "sh -c \nIFS=\nfor": (0, "", "/etc/nginx/x\n")}
    found = await looked(stage, host("nginx"), sudo=False)
    assert found.configs == ()
    assert [m.what for m in found.missing] == ["nginx's sites", "nginx -T"]


async def test_a_file_that_may_not_be_read_is_missing_with_the_rule_that_would_help(stage: Stage) -> None:
    stage.script = dict([found_script("/edx/etc/lms.yml")])
    stage.script["sh -c \n[ -d"] = (77, "", "")
    found = await looked(stage, host("lms"), sudo=False)
    (missing,) = found.missing
    assert missing.what == "/edx/etc/lms.yml"
    assert "ops may not read /edx/etc/lms.yml" in missing.cause
    assert "NOPASSWD" in missing.remedy


async def test_a_directory_that_is_closed_is_missing(stage: Stage) -> None:
    stage.script = dict([found_script("closed /edx/etc")])
    found = await looked(stage, host())
    assert [(m.what, m.cause) for m in found.missing] == [("files in /edx/etc", "ops may not look into it")]


async def test_a_host_that_is_lost_meanwhile_was_not_reached(stage: Stage) -> None:
    stage.script = {f"sh -c {FOUND}": ConnectionLost("the network broke")}
    found = await looked(stage, host("lms"))
    assert (found.reached, found.reason, found.running) == (False, "the network broke.", ())


async def test_commands_that_fail_leave_what_the_probe_saw(stage: Stage) -> None:
    stage.script = {"sh -c": CommandFailed("no shell")}
    found = await looked(stage, host("lms"))
    assert [r.component for r in found.running] == ["lms"]
    assert [m.what for m in found.missing] == [
        "its files and addresses",
        "which files lms reads",
        "the configuration of lms",
    ]


async def test_the_scripts_on_this_machine(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "a b").write_text("")
    here = sight(stage)
    told = await here.run(["sh", "-c", FOUND, "sh", f"{tmp_path}/*", f"{tmp_path}/none", "/nowhere/x"])
    assert told.text.partition("\nfiles\n")[2] == f"{tmp_path}/a b\n"
    told = await here.run(["sh", "-c", RESOLVED, "sh", "localhost"])
    assert told.text.split()[0] == "localhost"
    assert set(told.text.split()[1:]) & {"127.0.0.1", "::1"}
