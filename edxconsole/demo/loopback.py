"""The demo where namespaces are denied: the hosts are addresses of the loopback interface and directories.

Real SSH, supervisord, gunicorn and Celery; the daemons are all stand-ins. What it lacks: the hosts share one
process table, one list of listening ports and one disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edxconsole.demo import cluster_plan, namespaces
from edxconsole.demo.door import Door, to_json
from edxconsole.demo.layout import Contents, Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.readiness import Reach, wait_live
from edxconsole.demo.rootfs import USER_NAME
from edxconsole.demo.settings_files import Passwords
from edxconsole.demo.state import LOOPBACK, DemoState, StateDir
from edxconsole.demo.traffic import start_traffic
from edxconsole.errors import DemoError

if TYPE_CHECKING:
    from edxconsole.demo.launch import Say

ADDRESSES = {name: a.replace("10.88.1.", "127.0.1.") for name, a in cluster_plan.ADDRESSES.items()}
SSH_PORT = 2222
WEB_PORT = 8080


@contextlib.contextmanager
def running_loopback(state: StateDir, reason: str, timeout: float, say: Say) -> Iterator[DemoState]:
    """A live demo on 127.0.1.*; `reason` is why there are no namespaces. Raises `DemoError`."""
    keys = cluster_plan.Keys.make()
    state.write("holder", str(os.getpid()))
    state.write("id_ed25519", keys.operator.private)
    state.write("known_hosts", keys.known_hosts(SSH_PORT, ADDRESSES))
    services = [service for name in ADDRESSES for service in _make_host(state.path, name, keys.passwords)]
    services.insert(0, _ssh_service(state, keys))
    guardian = subprocess.Popen(
        namespaces.module_command("guardian"), stdin=subprocess.PIPE, start_new_session=True
    )
    assert guardian.stdin is not None
    try:
        guardian.stdin.write(json.dumps({"base": str(state.path), "services": services}).encode() + b"\n")
        guardian.stdin.flush()
        reach = Reach(ADDRESSES, {n: state.path / n for n in ADDRESSES}, SSH_PORT, WEB_PORT)
        wait_live(reach, timeout, lambda: None if guardian.poll() is None else "web")
        found = _publish(state, reason)
        say(found.notice)
        with start_traffic(ADDRESSES["web"], WEB_PORT):
            yield found
    except BrokenPipeError as error:
        raise DemoError("the demo's guardian process ended") from error
    finally:
        guardian.stdin.close()
        guardian.wait()


def _publish(state: StateDir, reason: str) -> DemoState:
    stand_ins = Machine.bare().stand_ins
    notice = (
        f"Demo cluster without namespaces ({reason}): its hosts share this machine's processes, ports and "
        f"disk; {', '.join(stand_ins)} are stand-ins."
    )
    defaults = {
        "user": USER_NAME,
        "port": SSH_PORT,
        "identity_file": str(state.path / "id_ed25519"),
        "known_hosts": str(state.path / "known_hosts"),
    }
    text = cluster_plan.inventory_text({n: {"address": a} for n, a in ADDRESSES.items()}, defaults, [notice])
    state.write("inside.yaml", text)
    state.write("hosts.yaml", text)
    state.write("ssh_config", cluster_plan.ssh_config_text(state.path, None, ADDRESSES, SSH_PORT))
    found = DemoState(os.getpid(), LOOPBACK, {}, stand_ins, notice)
    state.save(found)
    return found


def _make_host(base: Path, name: str, passwords: Passwords) -> list[dict[str, object]]:
    """Write a host's files below `base`/`name`; returns what the guardian is to start."""
    root = base / name
    apps = (ADDRESSES["app1"], ADDRESSES["app2"])
    place = Place(name, ADDRESSES[name], ADDRESSES[name], str(root), ADDRESSES["data"], apps)
    contents = cluster_plan.contents_of(place, Machine.bare(), passwords)
    contents.directories += ["/run", "/var/log", "/tmp", "/home"]
    _write(contents, root)
    env = place.env | {
        "PATH": f"{root}/edx/bin:" + os.environ.get("PATH", os.defpath),
        "HOME": f"{root}/home",
        "LANG": "C.UTF-8",
    }
    started: list[dict[str, object]] = []
    for service in contents.services:
        argv, own = list(service.argv), env | dict(service.env)
        started.append({"argv": argv, "env": own, "cwd": str(root), "log": f"{root}{service.log}"})
    return started


def _ssh_service(state: StateDir, keys: cluster_plan.Keys) -> dict[str, object]:
    doors = []
    for name, address in ADDRESSES.items():
        root = state.path / name
        own = {"EDX_DEMO_ROOT": str(root), "EDX_DEMO_HOST": name, "HOME": f"{root}/home"}
        env = os.environ | own | {"PATH": f"{root}/edx/bin:" + os.environ.get("PATH", os.defpath)}
        key, authorized = keys.hosts[name].private, keys.operator.public
        doors.append(Door(name, address, SSH_PORT, key, authorized, env, str(root)))
    path = state.write("doors.json", to_json(doors))
    argv = [*namespaces.module_command("sshserver"), "0", str(path)]
    base = str(state.path)
    return {"argv": argv, "env": dict(os.environ), "cwd": base, "log": f"{base}/sshd.log"}


def _write(contents: Contents, root: Path) -> None:
    for directory in contents.directories:
        (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for file in contents.files:
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)
    for link, target in contents.links.items():
        path = root / link.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
