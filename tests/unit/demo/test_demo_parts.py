"""The demo's parts that need no host: specs, state directory, configuration texts, stand-ins."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edxconsole.demo import cluster_plan, machine
from edxconsole.demo.cluster import dependencies, standin
from edxconsole.demo.cluster.dependencies import Login
from edxconsole.demo.hostinit import gateway_of, veth_name
from edxconsole.demo.hostspec import Bind, HostFile, HostSpec, Service
from edxconsole.demo.layout import Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.settings_files import Passwords
from edxconsole.demo.state import DemoState, StateDir
from edxconsole.errors import DemoError
from edxconsole.inventory.loader import load_inventory


def test_a_spec_survives_its_journey_as_json() -> None:
    spec = HostSpec(
        name="app1",
        address="10.88.1.21",
        files=(HostFile("/etc/x", "a\nb", 0o600),),
        binds=(Bind("/opt", "/opt"),),
        services=(Service(("sh", "-c", "true"), "/var/log/x", {"A": "b"}),),
        links={"/a": "b"},
        directories=("/d",),
    )
    assert HostSpec.from_json(spec.to_json()) == spec


def test_link_names_are_unique_and_short_enough_for_the_kernel() -> None:
    names = [veth_name(a) for a in cluster_plan.ADDRESSES.values()]
    assert len(set(names)) == len(names)
    assert all(len(n) <= 15 for n in [*names, veth_name("10.88.255.255")])
    assert gateway_of("10.88.1.21") == "10.88.0.1"


def test_only_one_demo_per_user_and_a_leftover_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "demo"
    holder = StateDir(path)
    holder.take()
    (path / "app1").mkdir()
    assert path.stat().st_mode & 0o777 == 0o700
    assert StateDir(path).held()
    with pytest.raises(DemoError, match="already running"):
        StateDir(path).take()
    assert holder._lock is not None
    holder._lock.close()
    assert not StateDir(path).held()
    assert StateDir(path).clean()
    assert list(path.iterdir()) == []
    assert not StateDir(path).clean()


def test_the_state_of_a_demo_is_read_back_only_while_it_runs(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    with pytest.raises(DemoError, match="no demo cluster"):
        state.load()
    state.take()
    with pytest.raises(DemoError, match="still starting"):
        state.load()
    saved = DemoState(1, "user", {"web": 2}, ("MongoDB",), "line")
    state.save(saved)
    assert StateDir(tmp_path).load() == saved
    state.leave()
    with pytest.raises(DemoError, match="no demo cluster"):
        StateDir(tmp_path).load()


def test_the_inventories_load_and_check_host_keys(tmp_path: Path) -> None:
    keys = cluster_plan.Keys.make()
    (tmp_path / "id_ed25519").write_text(keys.operator.private)
    (tmp_path / "known_hosts").write_text(keys.known_hosts())
    (tmp_path / "ssh_config").write_text(cluster_plan.ssh_config_text(tmp_path, 1))
    for name, text in (
        ("inside.yaml", cluster_plan.inside_inventory(tmp_path, ["note"])),
        ("hosts.yaml", cluster_plan.outside_inventory(tmp_path, ["note"], 1)),
    ):
        (tmp_path / name).write_text(text)
        inventory = load_inventory(tmp_path / name)
        assert list(inventory.hosts) == ["web", "app1", "app2", "data"]
        assert inventory.environment == "development"
        assert inventory.expected_on("app1") >= {"lms", "xqueue"}
        assert "xqueue" not in inventory.expected_on("app2")
        assert inventory.hosts["app1"].known_hosts == tmp_path / "known_hosts"
    proxy = inventory.hosts["app1"].proxy_command
    assert proxy is not None
    assert proxy.endswith("-m edxconsole.demo.relay 1 %h %p")
    assert "StrictHostKeyChecking yes" in (tmp_path / "ssh_config").read_text()


def test_each_host_has_a_key_of_its_own() -> None:
    keys = cluster_plan.Keys.make()
    assert len({k.public for k in keys.hosts.values()}) == len(cluster_plan.ADDRESSES)


def test_stand_ins_are_named_and_a_bare_machine_has_no_real_daemon() -> None:
    assert Machine.bare().stand_ins == ("nginx", "MySQL", "memcached", "Redis", "MongoDB", "RabbitMQ")
    assert Machine.bare().broker == "filesystem://"
    real = Machine("/usr/sbin/sshd", "/n", "/m", "/r", "/d", "/i")
    assert real.stand_ins == ("MongoDB", "RabbitMQ")
    for name in ("web", "data"):
        for file in cluster_plan.contents_of(Place(name, "10.88.1.1"), Machine.bare(), Passwords()).files:
            if file.path.startswith("/etc/init.d/"):
                assert "(stand-in)" in file.text


def test_every_bind_is_read_only_and_outside_usr() -> None:
    binds = machine.python_binds()
    assert binds
    assert not any(b.writable or b.source.startswith("/usr/") for b in binds)


def ask_sql(host: str, port: int) -> None:
    dependencies.ask_sql(host, port, Login("edxapp001", "anything", "edxapp"))


@contextlib.contextmanager
def running_stand_in(name: str, address: str, port: int, root: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-S", standin.__file__, name, address],
        env=os.environ | {"EDX_DEMO_ROOT": str(root)},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
                break
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("name", "port", "ask"),
    [
        ("mysqld", 3306, ask_sql),
        ("mongod", 27017, dependencies.ask_modulestore),
        ("memcached", 11211, dependencies.ask_cache),
        ("redis-server", 6379, dependencies.ask_redis),
        ("beam.smp", 5672, dependencies.ask_rabbit),
    ],
)
def test_a_stand_in_answers_as_the_daemon_and_says_what_it_is(
    name: str, port: int, ask: Callable[[str, int], None], tmp_path: Path
) -> None:
    for directory in ("edx/var/log/mongo", "var/log/rabbitmq"):
        (tmp_path / directory).mkdir(parents=True)
    address = f"127.0.7.{os.getpid() % 200 + 10}"
    with pytest.raises(OSError, match=r"refused|111"):
        ask(address, port)
    with running_stand_in(name, address, port, tmp_path) as pid:
        ask(address, port)
        assert Path(f"/proc/{pid}/comm").read_text().strip() == name
        assert b"(stand-in" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
