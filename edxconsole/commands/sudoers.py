"""`edxconsole sudoers`: the least sudo rules for this inventory and catalog."""

from __future__ import annotations

from pathlib import Path

import click

from edxconsole.commands.opening import open_cluster
from edxconsole.commands.options import hosts_option, json_option
from edxconsole.commands.output import Printer, print_json
from edxconsole.commands.sudorules import Rule, rules_for
from edxconsole.settings import local_user


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--read-only", is_flag=True, help="Only what looking needs; nothing that changes a host.")
@json_option
@hosts_option
def sudoers(selectors: tuple[str, ...], read_only: bool, as_json: bool, hosts: Path | None) -> int:
    """The least sudo rules for this inventory, per login user; nothing is sent to any host."""
    opened = open_cluster(hosts, selectors)
    logins: dict[str, list[str]] = {}
    for name in opened.hosts:
        host = opened.inventory.hosts[name]
        if host.transport != "local" or host.become == "sudo":
            logins.setdefault(host.user or local_user(), []).append(name)
    logins.pop("root", None)
    plans = [
        (login, names, rules_for(opened.inventory, opened.catalog, names, read_only=read_only))
        for login, names in logins.items()
    ]
    if as_json:
        body = [
            {"login": login, "hosts": names, "rules": [r.plain(login) for r in rules]}
            for login, names, rules in plans
        ]
        print_json("sudoers", {"logins": body})
        return 0
    out = Printer()
    if not plans:
        out.line("# no host here is logged into as somebody who needs sudo")
    for login, names, rules in plans:
        _print(out, login, names, rules)
    return 0


def _print(out: Printer, login: str, names: list[str], rules: list[Rule]) -> None:
    out.line(f"# /etc/sudoers.d/edxconsole for {login} on {', '.join(names)}")
    out.line("# install with: visudo -cf FILE && install -m 0440 FILE /etc/sudoers.d/edxconsole")
    out.line(f"# logs of nginx, syslog and apt need no sudo: usermod -aG adm {login}")
    why = ""
    for rule in rules:
        if rule.why != why:
            why = rule.why
            out.line()
            out.line(f"# {why}")
        out.line(("# " if rule.optional else "") + rule.line(login))
    out.line()
