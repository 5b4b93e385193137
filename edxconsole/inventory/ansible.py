"""Read an Ansible inventory (INI or YAML) for `init`. Secrets in it are never looked at."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edxconsole.errors import InventoryError
from edxconsole.inventory.names import HOST_NAME
from edxconsole.numerals import natural
from edxconsole.yamlfile import read_yaml

_HEADER = re.compile(r"\[([^\]]+)\]\s*(?:[#;].*)?")
_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")
_JUMP = re.compile(r"(?:-J\s*|ProxyJump[= ])([A-Za-z0-9._@:-]+)")
MAX_HOSTS = 2000


@dataclass(slots=True)
class AnsibleInventory:
    """What `init` needs: host -> our own keys (address, port, user, ...), group -> hosts."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    """names that can't be host names here"""

    def add(self, name: str, variables: dict[str, Any], group: str | None) -> None:
        for host in expand(name):
            if not re.fullmatch(HOST_NAME.strip("^$"), host) or len(self.hosts) >= MAX_HOSTS:
                self.skipped.append(host)
                continue
            self.hosts.setdefault(host, {}).update(_translate(variables))
            if group is not None and host not in self.groups.setdefault(group, []):
                self.groups[group].append(host)


def read_ansible(path: Path) -> AnsibleInventory:
    """Raises InventoryError when the file is neither an INI nor a YAML inventory with hosts."""
    found = _from_yaml(path) if path.suffix in (".yaml", ".yml") else _from_ini(path)
    if not found.hosts:
        raise InventoryError(
            f"{path}: no hosts were found in it", remedy="give an Ansible INI or YAML inventory"
        )
    _drop_odd_groups(found)
    return found


def expand(name: str) -> list[str]:
    """app[01:03] -> app01, app02, app03; at most MAX_HOSTS names."""
    match = _RANGE.search(name)
    if match is None:
        return [name]
    first, last, step = match[1], match[2], int(match[3] or 1) or 1
    low, high = natural(first), natural(last)
    if low is not None and high is not None:
        numbers = range(low, min(high, low + MAX_HOSTS * step) + 1, step)
        values = [str(n).zfill(len(first) if first.startswith("0") else 0) for n in numbers]
    elif len(first) == len(last) == 1:
        values = [chr(n) for n in range(ord(first), ord(last) + 1, step)]
    else:
        return [name]
    head, tail = name[: match.start()], name[match.end() :]
    return [host for v in values[:MAX_HOSTS] for host in expand(head + v + tail)][:MAX_HOSTS]


def _from_ini(path: Path) -> AnsibleInventory:
    found, children = AnsibleInventory(), dict[str, list[str]]()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{path}: can't be read: {error}") from error
    section = ""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        header = _HEADER.fullmatch(line)
        if header:
            section = header[1].strip()
            continue
        group, _, kind = section.partition(":")
        if kind == "children":
            children.setdefault(group, []).append(line.split()[0])
        elif not kind:
            name, variables = _ini_host(path, number, line)
            found.add(name, variables, group or None)
    _add_children(found, children)
    return found


def _ini_host(path: Path, number: int, line: str) -> tuple[str, dict[str, Any]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InventoryError(f"{path}:{number}: {error}") from error
    name, *pairs = words
    return name, dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _add_children(found: AnsibleInventory, children: dict[str, list[str]]) -> None:
    """Groups of groups, flattened; a circle ends by itself, because nothing new is found."""
    for _ in range(len(children) + 1):
        for group, members in children.items():
            hosts = found.groups.setdefault(group, [])
            hosts += dict.fromkeys(h for m in members for h in found.groups.get(m, []) if h not in hosts)


def _from_yaml(path: Path) -> AnsibleInventory:
    document = read_yaml(path)
    document.raise_problems(InventoryError)
    found = AnsibleInventory()
    if isinstance(document.data, dict):
        for group, body in document.data.items():
            _yaml_group(found, group, body)
    return found


def _yaml_group(found: AnsibleInventory, group: str, body: Any) -> list[str]:
    if not isinstance(body, dict):
        return []
    hosts, children = body.get("hosts"), body.get("children")
    for name, variables in (hosts if isinstance(hosts, dict) else {}).items():
        found.add(name, variables if isinstance(variables, dict) else {}, group)
    members = found.groups.setdefault(group, [])
    for name, child in (children if isinstance(children, dict) else {}).items():
        members += [h for h in _yaml_group(found, name, child) if h not in members]
    return members


def _translate(variables: dict[str, Any]) -> dict[str, Any]:
    """Ansible's connection variables in our words; templates ("{{ }}") can't be followed."""
    names = {
        "address": ("ansible_host", "ansible_ssh_host"),
        "port": ("ansible_port", "ansible_ssh_port"),
        "user": ("ansible_user", "ansible_ssh_user"),
        "identity_file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    }
    said: dict[str, Any] = {}
    for ours, theirs in names.items():
        value = next((variables[t] for t in theirs if variables.get(t) is not None), None)
        if value is not None and "{{" not in str(value):
            number = natural(str(value), 5) if ours == "port" else None
            said[ours] = str(value) if number is None else number
    if variables.get("ansible_connection") == "local":
        return {"transport": "local"}
    arguments = (
        f"{variables.get('ansible_ssh_common_args', '')} {variables.get('ansible_ssh_extra_args', '')}"
    )
    jump = _JUMP.search(arguments)
    if jump:
        said["jump"] = jump[1].rpartition("@")[2].partition(":")[0]
    return said


def _drop_odd_groups(found: AnsibleInventory) -> None:
    """`all` and `ungrouped` are ours already; groups named like a host or not nameable can't be kept."""
    for group in list(found.groups):
        odd = group in ("all", "ungrouped") or group in found.hosts or not found.groups[group]
        if odd or not re.fullmatch(HOST_NAME.strip("^$"), group):
            del found.groups[group]
