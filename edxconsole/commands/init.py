"""`edxconsole init`: write a hosts.yaml from named hosts, ~/.ssh/config or an Ansible inventory.

It connects to the hosts and writes what to expect of each, and groups, from what is found there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edxconsole.cluster.text import clean_line
from edxconsole.commands.host_spec import parse_host
from edxconsole.commands.options import run, timeout_option
from edxconsole.commands.output import Printer, count, mask
from edxconsole.errors import InventoryError, UsageError
from edxconsole.inventory.ansible import read_ansible
from edxconsole.inventory.loader import load_inventory
from edxconsole.inventory.model import Environment
from edxconsole.inventory.names import MAX_SITES
from edxconsole.inventory.sshconfig import ssh_aliases
from edxconsole.inventory.writer import render_hosts

if TYPE_CHECKING:
    from edxconsole.discovery.expect import Proposal
    from edxconsole.discovery.model import Discovery


@dataclass(slots=True)
class _Draft:
    """What will be written."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    origin: str = ""
    skipped: list[str] = field(default_factory=list)
    cluster: str = "cluster"
    environment: str = Environment.PRODUCTION.value
    defaults: dict[str, Any] = field(default_factory=dict)

    def text(self, found: Proposal | None = None) -> str:
        """The hosts.yaml, with what was found."""
        return render_hosts(
            self.hosts,
            groups=self.groups | (found.groups if found else {}),
            cluster=self.cluster,
            environment=self.environment,
            defaults=self.defaults,
            expect=found.expect if found else None,
            notes=found.notes if found else None,
            sites=found.sites if found else (),
        )


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option(
    "--ansible",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take hosts and groups of an INI or YAML inventory.",
)
@click.option("--ssh-config", "ssh_config", is_flag=True, help="Take the aliases in ~/.ssh/config.")
@click.option("--local", is_flag=True, help="Take this very machine.")
@click.option(
    "-o", "--output", default="hosts.yaml", show_default=True, metavar="FILE", help="Where to; - prints it."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--cluster", default="cluster", help="The cluster's name.")
@click.option(
    "--environment",
    type=click.Choice([e.value for e in Environment]),
    default=Environment.PRODUCTION.value,
    show_default=True,
    help="How careful changes are.",
)
@click.option("--sudo", is_flag=True, help="Use `sudo -n` on them for what needs it (become: sudo).")
@click.option(
    "--no-discover",
    "no_discover",
    is_flag=True,
    help="Connect to no host: write hosts and groups alone, without what to expect of them.",
)
@timeout_option
def init(
    hosts: tuple[str, ...],
    ansible: Path | None,
    ssh_config: bool,
    local: bool,
    output: str,
    force: bool,
    cluster: str,
    environment: str,
    sudo: bool,
    no_discover: bool,
    timeout: float,
) -> int:
    """Write a hosts.yaml from what is found on the hosts.

    HOST is an alias of ~/.ssh/config, or [NAME=][USER@]ADDRESS[:PORT], e.g. app1=ops@192.0.2.21:2222.
    Without any, the aliases in ~/.ssh/config are taken. Each host is connected to; what runs there is
    written as what to expect, and the public names of the sites. Exit status: 0, 2 usage, 3 some host was
    not reached (it is written without expectations).
    """
    draft = _gather(hosts, ansible, ssh_config, local)
    draft.cluster, draft.environment = cluster, environment
    draft.defaults = {"become": "sudo"} if sudo else {}
    if output == "-":
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "hosts.yaml")
            _write(path, draft.text(), force=False)
            text, code = (draft.text(), 0) if no_discover else _discovered(draft, path, timeout)
        sys.stdout.write(text)
        return code
    path = Path(output)
    # Written before anything is connected to: an interrupt leaves a file that can be used.
    _write(path, draft.text(), force)
    load_inventory(path)
    code = 0
    if not no_discover:
        text, code = _discovered(draft, path, timeout)
        _write(path, text, force=True)
        load_inventory(path)
    out = Printer()
    out.line(f"wrote {path}: {count(len(draft.hosts), 'host')} from {draft.origin}")
    for name in draft.skipped:
        out.line(f"left out {name!r}: it can't be a host name here")
    out.line("next: `edxconsole check`")
    return code


def _discovered(draft: _Draft, path: Path, timeout: float) -> tuple[str, int]:
    """The file with what was found on its hosts, and the exit status. What disagrees goes to stderr."""
    from edxconsole.commands.discover import discovered
    from edxconsole.commands.observing import UNREACHABLE
    from edxconsole.commands.opening import open_cluster
    from edxconsole.discovery.expect import propose

    found = run(discovered(open_cluster(path), timeout))
    _tell(found)
    proposal = propose(found.hosts, draft.groups)
    if proposal.more_sites:
        left = ", ".join(proposal.more_sites)
        Printer(sys.stderr).line(f"left out of sites:, which may name {MAX_SITES}: {clean_line(left, 600)}")
    reached = all(host.reached for host in found.hosts.values())
    return draft.text(proposal), 0 if reached else UNREACHABLE


def _tell(found: Discovery) -> None:
    said = Printer(sys.stderr)
    for host in found.hosts.values():
        if host.reached:
            what = ", ".join(host.expected) or "nothing the catalog knows"
            said.line(f"{host.name}: {what} ({host.seconds:.1f} s)")
    for sentence in (*found.topology.disagreements, *found.topology.unknowns):
        said.line(mask(clean_line(sentence, 600)))


def _gather(hosts: tuple[str, ...], ansible: Path | None, ssh_config: bool, local: bool) -> _Draft:
    """Raises UsageError, InventoryError when there is nothing to write."""
    draft, origins = _Draft(), []
    if ansible is not None:
        found = read_ansible(ansible)
        draft.hosts.update(found.hosts)
        draft.groups.update(found.groups)
        draft.skipped += found.skipped
        origins.append(str(ansible))
    if hosts:
        draft.hosts.update(parse_host(spec) for spec in hosts)
        origins.append("the command line")
    if local:
        draft.hosts["here"] = {"transport": "local"}
        origins.append("this machine")
    if ssh_config or not origins:
        aliases = ssh_aliases()
        draft.hosts |= {alias: {} for alias in aliases if alias not in draft.hosts}
        origins.append("~/.ssh/config")
    if not draft.hosts:
        raise InventoryError(
            "~/.ssh/config names no hosts",
            remedy="name them: `edxconsole init app1=ops@192.0.2.21`, or --local for this machine",
        )
    draft.origin = " and ".join(origins)
    return draft


def _write(path: Path, text: str, force: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists", remedy="use --force to overwrite it, or -o FILE") from error
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
