"""A lab: makes test hosts, and ends them all when it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from edxconsole.demo.namespaces import Net
from edxconsole.inventory.model import Environment, Host, Inventory
from tests.lab import network
from tests.lab.host import HostOptions, LabHost, make_key


class Lab:
    """Hosts of one test, module or session.

    Args:
        net: what they hang on.
        directory: for keys, known_hosts and boot logs; ours alone.
    """

    def __init__(self, net: Net, directory: Path) -> None:
        self.net = net
        self.directory = directory
        self.key = directory / "id_ed25519"
        self.known_hosts = directory / "known_hosts"
        self._hosts: list[LabHost] = []
        make_key(self.key)
        self.known_hosts.touch()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every host."""
        for host in self._hosts:
            host.kill()
        self._hosts.clear()

    def adopt(self, host: LabHost) -> None:
        """End this host too, which was made otherwise."""
        self._hosts.append(host)

    def host(self, name: str = "h1", **options: Any) -> LabHost:
        """One host that answers SSH. `options` are the fields of HostOptions."""
        return self.boot({name: HostOptions(**options)})[name]

    def hosts(self, count: int, **options: Any) -> list[LabHost]:
        """Hosts h1 to hN that answer SSH, all with the same options."""
        return list(self.boot({f"h{i}": HostOptions(**options) for i in range(1, count + 1)}).values())

    def boot(self, wanted: Mapping[str, HostOptions]) -> dict[str, LabHost]:
        """Boot hosts that know each other by name; returns when all answer SSH."""
        addresses = {name: network.address() for name in wanted}
        made = {
            name: LabHost(
                name=name,
                address=addresses[name],
                user="ops",
                key=self.key,
                known_hosts=self.known_hosts,
                directory=self.directory,
                net=self.net,
                peers=addresses,
                options=options,
            )
            for name, options in wanted.items()
        }
        boxes = self.net.start(*(host.spec() for host in made.values()))
        for host, box in zip(made.values(), boxes, strict=True):
            host.plug_in(box)
            self._hosts.append(host)
        for host in made.values():
            host.wait_ssh()
        return made

    def inventory(
        self,
        hosts: Sequence[LabHost] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        expect: Mapping[str, Sequence[str]] | None = None,
        **changes: Any,
    ) -> Inventory:
        """These hosts (default all) as an Inventory; `changes` are set on each host."""
        chosen = self._hosts if hosts is None else hosts
        return Inventory(
            cluster="lab",
            environment=Environment.DEVELOPMENT,
            hosts={host.name: host.inventory_host(**changes) for host in chosen},
            groups={name: tuple(members) for name, members in (groups or {}).items()},
            expect={name: tuple(components) for name, components in (expect or {}).items()},
        )

    def hosts_yaml(self, inventory: Inventory | None = None) -> Path:
        """The same as a hosts.yaml for the command line."""
        inventory = inventory or self.inventory()
        document = {
            "cluster": inventory.cluster,
            "environment": str(inventory.environment),
            "hosts": {name: _as_said(host) for name, host in inventory.hosts.items()},
        }
        for section in ("groups", "expect"):
            if content := getattr(inventory, section):
                document[section] = {name: list(members) for name, members in content.items()}
        path = self.directory / "hosts.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        path.chmod(0o600)
        return path


def _as_said(host: Host) -> dict[str, Any]:
    """A host's entry in hosts.yaml: what differs from what is usual."""
    given = {field.name: getattr(host, field.name) for field in fields(host) if field.name != "name"}
    usual = Host(name=host.name)
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in given.items()
        if value != getattr(usual, key)
    }
