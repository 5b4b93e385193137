"""The demo cluster as a whole: its four hosts, what each contains, and the inventory that reaches them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from edxconsole.demo.approle import app_contents
from edxconsole.demo.datarole import data_contents
from edxconsole.demo.door import Door
from edxconsole.demo.hostinit import PATH
from edxconsole.demo.hostspec import Bind, HostFile, HostSpec, Mode, Service
from edxconsole.demo.keys import KeyPair
from edxconsole.demo.layout import Contents, Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.rootfs import USER_NAME
from edxconsole.demo.settings_files import Passwords
from edxconsole.demo.webrole import web_contents

ADDRESSES = {"web": "10.88.1.10", "app1": "10.88.1.21", "app2": "10.88.1.22", "data": "10.88.1.31"}
GROUPS = {"web": ["web"], "app": ["app1", "app2"], "data": ["data"]}
EXPECT = {
    "web": ["nginx"],
    "app": ["supervisor", "lms", "cms", "edxapp_worker"],
    "app1": ["xqueue", "xqueue_consumer"],
    "data": ["mysql", "mongodb", "memcached", "redis", "rabbitmq"],
}
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
_AUTHORIZED = "/etc/ssh/authorized_keys"
_SSHD_CONFIG = f"""\
Port 22
HostKey {_HOST_KEY}
AuthorizedKeysFile {_AUTHORIZED}
PidFile none
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
PrintMotd no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The operator's key, each host's, and what the apps know each other by."""

    operator: KeyPair
    hosts: Mapping[str, KeyPair]
    passwords: Passwords

    @classmethod
    def make(cls) -> Keys:
        """New ones."""
        return cls(KeyPair.make(), {name: KeyPair.make() for name in ADDRESSES}, Passwords())

    def known_hosts(self, port: int = 22, addresses: Mapping[str, str] = ADDRESSES) -> str:
        """The text of a known_hosts file: each host by name and by address."""
        lines = []
        for name, address in addresses.items():
            shown = address if port == 22 else f"[{address}]:{port}"
            lines.append(f"{name},{shown} {self.hosts[name].public}\n")
        return "".join(lines)


def contents_of(place: Place, machine: Machine, passwords: Passwords) -> Contents:
    """What the host at `place` runs, by its role."""
    if place.name == "web":
        return web_contents(place, machine)
    if place.name == "data":
        return data_contents(place, machine, passwords)
    return app_contents(place, machine.broker, passwords)


def host_spec(name: str, machine: Machine, keys: Keys, binds: tuple[Bind, ...]) -> HostSpec:
    """The spec of one namespaced host."""
    place = Place(name, ADDRESSES[name])
    contents = contents_of(place, machine, keys.passwords)
    ssh_files = (
        HostFile(_HOST_KEY, keys.hosts[name].private, 0o600),
        HostFile(_AUTHORIZED, keys.operator.public + "\n"),
        HostFile("/etc/ssh/sshd_config", _SSHD_CONFIG),
        HostFile("/etc/motd", f"{name}: a host of the edxconsole demo cluster\n"),
    )
    return HostSpec(
        name=name,
        address=place.address,
        files=(*contents.files, *ssh_files),
        directories=tuple(contents.directories),
        links=contents.links,
        binds=binds,
        services=(*_sshd(machine), *contents.services),
    )


def _sshd(machine: Machine) -> tuple[Service, ...]:
    if machine.sshd is None:
        return ()
    argv = (machine.sshd, "-D", "-e", "-f", "/etc/ssh/sshd_config")
    return (Service(argv, "/var/log/sshd.log"),)


def door(name: str, keys: Keys, pid: int, mode: Mode) -> Door:
    """How our own SSH server stands in for the sshd of a running host."""
    home, user = (f"/home/{USER_NAME}", USER_NAME) if mode is Mode.USER else ("/root", "root")
    env = {"PATH": PATH, "HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
    key, authorized = keys.hosts[name].private, keys.operator.public
    own_user = mode is Mode.USER
    return Door(name, ADDRESSES[name], 22, key, authorized, env, home, pid, own_user)


def inventory_text(hosts: Mapping[str, object], defaults: Mapping[str, object], notes: list[str]) -> str:
    """A hosts.yaml, `notes` as comments at its head."""
    document = {
        "cluster": "demo",
        "environment": "development",
        "defaults": dict(defaults),
        "hosts": dict(hosts),
        "groups": GROUPS,
        "expect": EXPECT,
    }
    head = "".join(f"# {note}\n" for note in notes)
    return head + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)


def inside_inventory(state: Path, notes: list[str]) -> str:
    """hosts.yaml for a process inside the demo's network: plain addresses."""
    defaults = {
        "user": USER_NAME,
        "identity_file": str(state / "id_ed25519"),
        "known_hosts": str(state / "known_hosts"),
    }
    return inventory_text({name: {"address": a} for name, a in ADDRESSES.items()}, defaults, notes)


def outside_inventory(state: Path, notes: list[str], holder: int) -> str:
    """hosts.yaml for any other shell of the same user, through the network of `holder`.

    It needs no OpenSSH client; for `ssh -F` there is the ssh_config beside it.
    """
    defaults = {
        "user": USER_NAME,
        "identity_file": str(state / "id_ed25519"),
        "known_hosts": str(state / "known_hosts"),
        "proxy_command": _relay(holder, "%h", "%p"),
    }
    return inventory_text({name: {"address": a} for name, a in ADDRESSES.items()}, defaults, notes)


def _relay(holder: int, address: str, port: str) -> str:
    python = sys.executable.replace("%", "%%")
    return f'"{python}" -I -m edxconsole.demo.relay {holder} {address} {port}'


def ssh_config_text(
    state: Path, holder: int | None, addresses: Mapping[str, str] = ADDRESSES, port: int = 22
) -> str:
    """An ssh_config for the demo's hosts, through its network by `relay` where it has one (`holder`)."""
    blocks = []
    for name, address in addresses.items():
        block = f"Host {name}\n    HostName {address}\n    HostKeyAlias {name}\n    Port {port}\n"
        if holder is not None:
            block += f"    ProxyCommand {_relay(holder, address, str(port))}\n"
        blocks.append(block)
    common = (
        "Host *\n"
        f"    User {USER_NAME}\n"
        f'    IdentityFile "{state / "id_ed25519"}"\n'
        "    IdentitiesOnly yes\n"
        f'    UserKnownHostsFile "{state / "known_hosts"}"\n'
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
    )
    return "\n".join([*blocks, common])
