"""`edxconsole catalog`: what edxconsole knows about each component."""

from __future__ import annotations

from pathlib import Path

import click

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.matching import KINDS
from edxconsole.catalog.model import (
    DOCKER_GRACE,
    ActionSpec,
    Catalog,
    Component,
    HealthSpec,
    LogSpec,
    TutorSpec,
    WorkerSpec,
)
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
        [c.id, c.title, " ".join(str(port) for port in _usual_ports(c)), c.what]
        for c in known.components.values()
    ]
    out.table(["COMPONENT", "TITLE", "PORTS", "WHAT IT DOES"], rows)


def _usual_ports(component: Component) -> list[int]:
    """Those it always has on a host; of what only Tutor has, those inside its container."""
    own = [x.port for x in component.listeners if x.port and x.required]
    return own or (list(component.tutor.ports) if component.family == "tutor" and component.tutor else [])


def _print_one(out: Printer, component: Component) -> None:
    out.line(f"{component.id}  ({component.title}, {component.family})")
    actions = [
        (verb, _action(spec))
        for verb in ("reload", "restart", "stop", "start")
        if (spec := getattr(component.actions, verb))
    ]
    tutor = [("with Tutor", _in_tutor(component.tutor))] if component.tutor else []
    for name, values in [*_facts(component), *actions, *tutor, ("facts from", [component.source])]:
        for index, value in enumerate(v for v in values if v):
            out.line(f"  {name if not index else '':<16}{value}")
    out.line()


def _facts(component: Component) -> list[tuple[str, list[str]]]:
    managers = [
        f"{kind} {' '.join(names)}"
        for kind in ("supervisor", "systemd", "sysv", "compose")
        if (names := getattr(component.managers, kind))
    ]
    signature = component.signature
    known_by = [f"{kind} {' '.join(names)}" for kind in KINDS if (names := getattr(signature, kind))]
    listeners = [
        f"{x.name} {x.port or x.unix}{'' if x.required else ' (where configured)'}"
        for x in component.listeners
    ]
    ends = "to end by itself with success is normal for it" if component.normal_exit else ""
    return [
        ("what it does", [component.what]),
        ("when it is down", [component.breaks, ends]),
        ("look first at", [component.first_log]),
        ("there in", [component.releases]),
        ("known as", [f"{a.name}  {a.releases}" for a in component.aliases]),
        ("managed by", managers),
        ("recognised by", [*known_by, *(f"argv {text}" for text in signature.argv)]),
        ("runs as", [" ".join(component.user)]),
        ("listens on", listeners),
        ("workers", [_workers(component.workers)]),
        ("logs", [_log(x) for x in component.logs]),
        ("configured by", list(component.configs)),
        ("health", [_health(h) for h in component.health]),
        ("depends on", [" ".join(component.depends)]),
        ("uses", [" ".join(component.uses)]),
    ]


def _in_tutor(spec: TutorSpec) -> list[str]:
    """What differs in a container, each with its own word."""
    ports = " ".join(map(str, spec.ports))
    told = {
        "releases": spec.releases,
        "image": spec.image,
        "runs": spec.command,
        "as user": spec.user,
        "ports inside": f"{ports}, reachable {spec.published}" if ports and spec.published else ports,
        "workers": _workers(spec.workers),
        "own output": spec.stdout,
        "logs": ", ".join(_log(x) for x in spec.logs),
        "data": " ".join(spec.data),
        "configured by": " ".join(spec.configs),
        "health": ", ".join(_health(h) for h in spec.health),
        "starts after": " ".join(spec.depends),
        "reload inside": " ".join(spec.reload),
        "needs to stop": f"{spec.grace:g} s" if spec.grace > DOCKER_GRACE else "",
    }
    return [f"{name}: {text}" for name, text in told.items() if text]


def _workers(spec: WorkerSpec | None) -> str:
    return f"{spec.expression}  {spec.description}".strip() if spec else ""


def _log(spec: LogSpec) -> str:
    return f"{spec.path}  ({spec.format}{', personal data' if spec.personal else ''})"


def _health(spec: HealthSpec) -> str:
    where = f" {spec.port or spec.unix or ''}".rstrip()
    when = f"on demand only, as {spec.cost}" if spec.on_demand else f"every {spec.every:g} s, about"
    return f"{spec.name} ({spec.kind}{where}; asked {when}): {spec.meaning}"


def _action(spec: ActionSpec) -> list[str]:
    checks = f"first: {' '.join(spec.preflight)}" if spec.preflight else ""
    return [spec.what, checks, f"warning: {spec.warning}" if spec.warning else ""]
