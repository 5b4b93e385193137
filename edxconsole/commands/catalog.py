"""`edxconsole catalog`: what edxconsole knows about each component."""

from __future__ import annotations

from pathlib import Path

import click

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import ActionSpec, Catalog, Component
from edxconsole.commands.options import hosts_option, json_option
from edxconsole.commands.output import Printer, print_json
from edxconsole.errors import InventoryError, UsageError
from edxconsole.yamlwords import suggest


@click.command()
@click.argument("names", nargs=-1, metavar="[COMPONENT]...")
@click.option(
    "--extra", type=click.Path(path_type=Path), metavar="PATH", help="Component files to add or try."
)
@json_option
@hosts_option
@click.pass_context
def catalog(
    ctx: click.Context, names: tuple[str, ...], extra: Path | None, as_json: bool, hosts: Path | None
) -> int:
    """What edxconsole knows about each component, or about these."""
    known = load_catalog(extra or _extra_of_inventory(hosts or (ctx.obj or {}).get("hosts")))
    for name in names:
        if name not in known.components:
            raise UsageError(f"the catalog has no component {name!r}{suggest(name, known.components)}")
    chosen = [known.components[name] for name in names] or list(known.components.values())
    if as_json:
        print_json("catalog", {"components": [c.model_dump(mode="json") for c in chosen]})
    elif names:
        for component in chosen:
            _print_one(Printer(), component)
    else:
        _print_all(Printer(), known)
    return 0


def _extra_of_inventory(hosts: Path | None) -> Path | None:
    """The components that hosts.yaml adds; none where there is no inventory at all."""
    from edxconsole.inventory.loader import find_inventory, load_inventory

    try:
        path = find_inventory(hosts)
    except InventoryError:
        if hosts is not None:
            raise
        return None
    return load_inventory(path).catalog


def _print_all(out: Printer, known: Catalog) -> None:
    rows = [
        [c.id, c.title, " ".join(str(x.port) for x in c.listeners if x.port and x.required), c.what]
        for c in known.components.values()
    ]
    out.table(["COMPONENT", "TITLE", "PORTS", "WHAT IT DOES"], rows)


def _print_one(out: Printer, component: Component) -> None:
    out.line(f"{component.id}  ({component.title}, {component.family})")
    managers = [
        f"{kind} {' '.join(names)}"
        for kind in ("supervisor", "systemd", "sysv", "compose")
        if (names := getattr(component.managers, kind))
    ]
    listeners = [
        f"{x.name} {x.port or x.unix}{'' if x.required else ' (where configured)'}"
        for x in component.listeners
    ]
    facts: list[tuple[str, list[str]]] = [
        ("what it does", [component.what]),
        ("when it is down", [component.breaks]),
        ("look first at", [component.first_log]),
        ("known as", [f"{a.name}  {a.releases}" for a in component.aliases]),
        ("managed by", managers),
        ("runs as", [" ".join(component.user)]),
        ("listens on", listeners),
        (
            "workers",
            [f"{component.workers.expression}  {component.workers.description}"] if component.workers else [],
        ),
        (
            "logs",
            [f"{x.path}  ({x.format}{', personal data' if x.personal else ''})" for x in component.logs],
        ),
        ("configured by", list(component.configs)),
        ("health", [f"{h.name} ({h.kind} {h.port or h.unix or ''}): {h.meaning}" for h in component.health]),
        ("depends on", [" ".join(component.depends)]),
        ("facts from", [component.source]),
    ]
    actions = [
        (verb, _action(spec))
        for verb in ("reload", "restart", "stop", "start")
        if (spec := getattr(component.actions, verb))
    ]
    for name, values in [*facts, *actions]:
        for index, value in enumerate(v for v in values if v):
            out.line(f"  {name if not index else '':<16}{value}")
    out.line()


def _action(spec: ActionSpec) -> list[str]:
    checks = f"first: {' '.join(spec.preflight)}" if spec.preflight else ""
    return [spec.what, checks, f"warning: {spec.warning}" if spec.warning else ""]
