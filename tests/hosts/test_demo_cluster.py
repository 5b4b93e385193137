"""The embedded demo cluster, started for real: truth, failures, memory, and that nothing is left of it.

Everything here is done from outside the demo's namespaces, as from another shell of the same user.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edxconsole.demo import linux
from edxconsole.demo.breaks import BREAKS
from edxconsole.demo.namespaces import process_tree
from edxconsole.inventory.loader import load_inventory
from tests.support.demo import (
    NOBODY,
    REPOSITORY,
    Demo,
    as_ordinary_user,
    assert_gone,
    demo,
    environment,
    eventually,
    identities,
    runtime_directory,
)

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def running() -> Iterator[Demo]:
    runtime = runtime_directory()
    with demo(runtime) as one:
        yield one
    shutil.rmtree(runtime)


def test_the_printed_hosts_file_reaches_every_host_with_its_own_key(running: Demo) -> None:
    inventory = load_inventory(running.hosts)
    assert list(inventory.hosts) == ["web", "app1", "app2", "data"]
    for name in inventory.hosts:
        assert running.ssh(name, "hostname; id -un").split() == [name, "ops"]


def test_a_wrong_host_key_is_refused(running: Demo, tmp_path: Path) -> None:
    known = (running.state / "known_hosts").read_text().splitlines()
    keys = [line.split(" ", 1)[1] for line in known]
    swapped = [f"{line.split(' ', 1)[0]} {keys[(i + 1) % len(keys)]}" for i, line in enumerate(known)]
    (tmp_path / "known").write_text("\n".join(swapped) + "\n")
    done = subprocess.run(
        ["ssh", "-F", str(running.state / "ssh_config"), "-o", f"UserKnownHostsFile={tmp_path}/known",
         "app1", "true"],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 255
    assert "IDENTIFICATION HAS CHANGED" in done.stderr


def test_hosts_have_processes_addresses_and_disks_of_their_own(running: Demo) -> None:
    app = running.ssh("app1", "ps -eo args; cat /proc/net/tcp; df -P -k / | tail -n 1")
    data = running.ssh("data", "ps -eo args; df -P -k / | tail -n 1")
    assert "lms_gunicorn.py" in app
    assert "lms_gunicorn.py" not in data
    assert "mongod (stand-in)" in data
    assert "mongod" not in app
    assert ":1F40 " in app, "port 8000 is open"
    assert int(data.splitlines()[-1].split()[1]) == 256 * 1024


def test_programs_paths_and_argv_are_those_of_a_native_install(running: Demo) -> None:
    states = running.states("app1")
    assert set(states) == {
        "edxapp:lms", "edxapp:cms", "edxapp_worker:lms_default_1", "edxapp_worker:cms_default_1",
        "xqueue", "xqueue_consumer",
    }  # fmt: skip
    assert set(states.values()) == {"RUNNING"}
    venv = "/edx/app/edxapp/venvs/edxapp/bin"
    argv = running.ssh("app1", "ps -eo args")
    assert f"{venv}/python {venv}/gunicorn -c /edx/app/edxapp/lms_gunicorn.py lms.wsgi" in argv
    assert "manage.py lms --settings=aws celery worker" in argv
    running.ssh("app1", "test -S /edx/var/supervisor/supervisor.sock")
    assert re.search(r"manage.py\b", argv)


def test_traffic_moves_the_logs_in_the_real_formats(running: Demo) -> None:
    size = "stat -c %s /edx/var/log/lms/edx.log"
    first = int(running.ssh("app1", size))
    eventually(lambda: int(running.ssh("app1", size)) > first)
    info = "grep ' INFO ' /edx/var/log/lms/edx.log | tail -n 1"
    eventually(lambda: running.ssh("app1", info) != "")
    line = running.ssh("app1", info)
    assert re.match(
        r"\w{3} [ \d]\d [\d:]{8} app1 \[service_variant=lms\]\[[\w.]+\]\[env:demo\] INFO \[app1  \d+\]", line
    )
    access = running.ssh("web", "tail -n 1 /edx/var/log/nginx/access.log")
    assert re.match(r'\S+ - [\d.]+ - - \S+ \[[^]]+\]  "GET \S+ HTTP/1.\d" \d{3} \d+ \d+\.\d{3} "', access)
    eventually(
        lambda: "succeeded in" in running.ssh("app1", "cat /edx/var/log/supervisor/*_default_1-stderr.log")
    )


def test_the_whole_demo_fits_in_400_mib(running: Demo) -> None:
    kib = 0
    for pid in process_tree(running.holder):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
    print(f"live after {running.seconds:.1f} s, {kib / 1024:.0f} MiB PSS")
    assert 100 < kib / 1024 <= 400


def test_a_second_demo_is_refused_in_one_sentence(running: Demo) -> None:
    second = running.command("--headless")
    assert second.returncode == 2
    assert "already running" in second.stderr
    assert "Traceback" not in second.stderr
    assert running.states("app1")


def _injected(running: Demo, name: str) -> bool:
    """Whether the failure is really there, asked on the hosts themselves."""
    match name:
        case "app-crash-loop":
            return "exited: cms" in running.ssh(
                "app2", "tail -n 20 /edx/var/log/supervisor/supervisord.log"
            ) and (
                "cms.djangoapps.badges"
                in running.ssh("app2", "tail -n 60 /edx/var/log/supervisor/cms-stderr.log")
            )
        case "orphan-port":
            lines = running.ssh("app1", "ps -eo ppid,args").splitlines()
            orphan = any(line.split()[0] == "1" and "lms_gunicorn" in line for line in lines)
            return orphan and "in use" in running.ssh(
                "app1", "tail -n 20 /edx/var/log/supervisor/lms-stderr.log"
            )
        case "worker-stopping":
            return running.states("app1")["edxapp_worker:lms_default_1"] == "STOPPING"
        case "disk-full":
            return int(running.ssh("app2", "df -P / | tail -n 1").split()[4].rstrip("%")) >= 95
        case "host-frozen" | "host-gone":
            try:
                running.ssh("app2", "true", timeout=3)
            except subprocess.TimeoutExpired:
                return True
            return False
        case "memcached-down" | "mysql-down":
            return running.heartbeat() == 503
    raise AssertionError(name)


@pytest.mark.parametrize("name", list(BREAKS))
def test_a_failure_is_made_and_mended(running: Demo, name: str) -> None:
    assert running.command("--break", name).returncode == 0
    try:
        eventually(lambda: _injected(running, name))
        again = running.command("--break", name)
        assert again.returncode == 2
        assert "already" in again.stderr
    finally:
        mended = running.command("--mend", name)
    assert mended.returncode == 0, mended.stderr
    eventually(
        lambda: set(running.states("app1").values()) | set(running.states("app2").values()) == {"RUNNING"}
    )
    eventually(lambda: running.heartbeat("app1") == running.heartbeat("app2") == 200)
    assert int(running.ssh("app2", "df -P / | tail -n 1").split()[4].rstrip("%")) < 50


def test_an_unknown_failure_names_those_there_are(running: Demo) -> None:
    wrong = running.command("--break", "nonsense")
    assert wrong.returncode == 2
    assert "orphan-port" in wrong.stderr


def test_nothing_is_left_after_kill_9() -> None:
    runtime = runtime_directory()
    links, mounts = os.listdir("/sys/class/net"), Path("/proc/self/mounts").read_text()
    with demo(runtime) as one:
        before = identities(process_tree(one.holder))
        assert len(before) > 30
        os.kill(one.holder, signal.SIGKILL)
        assert_gone(before)
        eventually(lambda: not list(one.state.iterdir()), 10, lambda: list(one.state.iterdir()))
        assert "No demo cluster" in one.command("--stop").stdout
    assert os.listdir("/sys/class/net") == links
    assert Path("/proc/self/mounts").read_text() == mounts
    shutil.rmtree(runtime)


def test_stop_cleans_what_a_demo_left_that_was_killed_with_all_its_helpers() -> None:
    runtime = runtime_directory()
    with demo(runtime) as one:
        before = identities(process_tree(one.holder))
        sweepers = [pid for pid in before if str(one.state).encode() in _command_line(pid)]
        assert len(sweepers) == 1
        for pid in (*sweepers, one.holder):
            os.kill(pid, signal.SIGKILL)
        assert_gone(before)
        assert (one.state / "id_ed25519").exists()
        assert "has ended" in one.command("--stop").stdout
        assert "No demo cluster" in one.command("--stop").stdout
        assert not list(one.state.iterdir())
    shutil.rmtree(runtime)


def _command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return words if b"edxconsole.demo.sweeper" in words else b""
    return b""


def test_stop_from_another_shell_ends_it_whole() -> None:
    runtime = runtime_directory()
    with demo(runtime) as one:
        before = identities(process_tree(one.holder))
        assert "has ended" in one.command("--stop").stdout
        assert one.process.wait(10) == 0
        assert_gone(before)
    shutil.rmtree(runtime)


@pytest.mark.root
def test_an_ordinary_user_has_the_same() -> None:
    runtime = runtime_directory(NOBODY)
    with demo(runtime, as_ordinary_user()) as one:
        status = Path(f"/proc/{one.holder}/status").read_text()
        assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}", status, re.M)
        assert json.loads((one.state / "demo.json").read_text())["mode"] == "user"
        for name in ("web", "app1", "app2", "data"):
            assert one.ssh(name, "hostname; id -un").split() == [name, "ops"]
        assert one.command("--break", "host-frozen").returncode == 0
        assert _injected(one, "host-frozen")
        assert "host-frozen" in one.command("--mend").stdout
        assert one.command("--break", "host-gone").returncode == 0
        assert _injected(one, "host-gone")
        assert "host-gone" in one.command("--mend").stdout
        before = identities(process_tree(one.holder))
        os.kill(one.holder, signal.SIGKILL)
        assert_gone(before)
    shutil.rmtree(runtime)


def test_without_namespaces_it_falls_back_to_loopback_and_says_so() -> None:
    """User namespaces are denied for real: in one that allows no more of them, without any capability."""
    runtime = runtime_directory()
    deny = (
        "ip link set lo up; echo 0 >/proc/sys/user/max_user_namespaces; "
        'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    )
    with demo(runtime, ("unshare", "-Urn", "sh", "-euc", deny, "sh")) as one:
        found = json.loads((one.state / "demo.json").read_text())
        assert found["mode"] == "loopback"
        assert "user.max_user_namespaces" in found["notice"]
        assert "share this machine's processes, ports and disk" in found["notice"]
        enter = ("nsenter", "-U", "--preserve-credentials", "-n", "-t", str(one.holder))
        one.wrap = (*enter, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
        for name in ("web", "app1", "app2", "data"):
            assert one.ssh(name, "pwd").strip().endswith(f"/{name}")
        assert "RUNNING" in one.ssh("app1", "supervisorctl status edxapp:lms")
        assert one.command("--break", "orphan-port").returncode == 0
        refused = one.command("--break", "host-frozen")
        assert refused.returncode == 2
        assert "no processes of their own" in refused.stderr
        before = identities(
            [int(p) for p in os.listdir("/proc") if p.isdigit() and _works_in(int(p), one.state)]
        )
        assert len(before) > 20
        os.kill(one.holder, signal.SIGKILL)
        assert_gone(before)
        eventually(lambda: not list(one.state.iterdir()), 10, lambda: list(one.state.iterdir()))
    shutil.rmtree(runtime)


def _works_in(pid: int, state: Path) -> bool:
    with contextlib.suppress(OSError):
        return f"EDX_DEMO_ROOT={state}/".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def test_the_namespaces_module_leaves_this_process_where_it_was() -> None:
    """`why_not` tries in a process of its own."""
    from edxconsole.demo.namespaces import Mode, why_not

    before = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "net", "mnt", "pid")}
    assert why_not(Mode.USER) is None
    assert before == {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in before}
    with pytest.raises(OSError, match="setns"):
        linux.setns(os.open("/dev/null", os.O_RDONLY))


def test_a_console_opened_on_the_demo_reaches_plain_addresses() -> None:
    runtime = runtime_directory()
    code = (
        "import socket, sys\n"
        "from edxconsole.demo.launch import notice, run_console\n"
        "from edxconsole.inventory.loader import load_inventory\n"
        "def console(path):\n"
        "    for host in load_inventory(path).hosts.values():\n"
        "        with socket.create_connection((host.address, 22), 5) as s:\n"
        "            assert s.recv(4) == b'SSH-'\n"
        "    print(notice(path))\n"
        "    return 7\n"
        "sys.exit(run_console(console))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=90, env=environment(runtime), cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "MongoDB, RabbitMQ are stand-ins" in done.stdout
    assert list((runtime / "edxconsole-demo").iterdir()) == []
    shutil.rmtree(runtime)
