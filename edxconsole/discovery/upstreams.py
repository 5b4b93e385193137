"""Whom nginx passes requests to: the members of its upstream blocks, and what is passed to directly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator

from edxconsole.catalog.matching import component_of_port
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.text import clean_line
from edxconsole.discovery.model import Config
from edxconsole.errors import (
    CommandFailed,
    NotUnderstood,
    PermissionMissing,
    ServiceError,
    ServiceUnavailable,
)
from edxconsole.inspect.edxapp_config import MAX_CLAIMS, Claim
from edxconsole.inspect.nginx_config import Directive, parse, read_dump
from edxconsole.inspect.reads import INCLUDED, NGINX, NGINX_DUMP
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight

DUMP = "nginx -T"
MAX_NAMES = 200
SITES = ("/etc/nginx/sites-enabled/*", "/etc/nginx/conf.d/*.conf", "/edx/app/nginx/conf.d/*.conf")
_TARGET = re.compile(
    r"(?:unix:(/[!-~]{1,200})|(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::(\d{1,5}))?)"
)
_UPSTREAM = re.compile(r"(\w{1,60}?)(?:-backend|_app_servers?)")


async def nginx_configs(sight: Sight, catalog: Catalog, report: Report) -> list[Config]:
    """The configuration in force, as nginx itself prints it; without root's rights, the files of its sites.

    What can't be read becomes `missing`.
    """
    try:
        tree = (await _dump(sight),)
        claims = claims_of_nginx(catalog, tree)
        return [Config(DUMP, True, "nginx prints it", claims, upstreams=True, names=names_of_nginx(tree))]
    except (ServiceError, CommandFailed) as error:
        read = await report.attempt("nginx's sites", _sites(sight))
        if read is None:
            report.lacks(DUMP, error)
            return []
        why = f"its files are read; {DUMP} could not be run"
        claims = claims_of_nginx(catalog, read)
        return [Config("/etc/nginx", True, why, claims, upstreams=True, names=names_of_nginx(read))]


async def _dump(sight: Sight) -> Directive:
    program = await sight.first_of(NGINX)
    told = await sight.run([program, *NGINX_DUMP], user="root")
    if not told.ok:
        raise ServiceUnavailable("nginx prints no configuration that fails its check")
    return await asyncio.to_thread(read_dump, told.text)


async def _sites(sight: Sight) -> tuple[Directive, ...]:
    """Every site that the login user may read, as if they were one file. Raises NotUnderstood."""
    told = await sight.run(["sh", "-c", INCLUDED, "sh", *SITES])
    if told.stderr.strip():
        first = clean_line(told.stderr.decode("utf-8", "replace"), 120)
        raise PermissionMissing(f"{sight.login} may not read {first}")
    if not told.text.strip():
        raise NotUnderstood("no file of a site was found")
    return await asyncio.to_thread(parse, told.text, "/etc/nginx")


def claims_of_nginx(catalog: Catalog, tree: Iterable[Directive]) -> tuple[Claim, ...]:
    """Every endpoint to which a configuration passes requests, once. Raises nothing."""
    top = Directive("main", (), "", tuple(tree))
    every = list(top.walk())
    blocks = {d.args[0]: d for d in every if d.name == "upstream" and d.args and d.block is not None}
    found: dict[Claim, None] = {}
    for name, block in blocks.items():
        for member in block.all("server"):
            if member.args and "down" not in member.args[1:]:
                found |= dict.fromkeys(_claim(catalog, member.args[0], name, member.file))
    for passed in every:
        if passed.name.endswith("_pass") and passed.args and "$" not in passed.args[0]:
            target = passed.args[0].partition("://")[2].partition("/")[0] or passed.args[0]
            if target not in blocks:
                found |= dict.fromkeys(_claim(catalog, target, passed.name, passed.file))
    return tuple(found)[:MAX_CLAIMS]


def names_of_nginx(tree: Iterable[Directive]) -> tuple[str, ...]:
    """The names of every server block that speaks TLS, once. Raises nothing."""
    found: dict[str, None] = {}
    for server in Directive("main", (), "", tuple(tree)).walk():
        if server.name == "server" and server.block is not None and _speaks_tls(server):
            found |= dict.fromkeys(
                clean_line(name, 260) for named in server.all("server_name") for name in named.args
            )
    return tuple(found)[:MAX_NAMES]


def _speaks_tls(server: Directive) -> bool:
    """By `listen ... ssl`, or by `ssl on`, which nginx 1.25 took away."""
    listens = any("ssl" in listen.args[1:] for listen in server.all("listen"))
    return listens or any(switch.args == ("on",) for switch in server.all("ssl"))


def _claim(catalog: Catalog, target: str, name: str, file: str) -> Iterator[Claim]:
    match = _TARGET.fullmatch(target.removesuffix(":") if target.startswith("unix:") else target)
    if match is None:
        return
    port = None if match[1] else int(match[3] or 80)
    if port is not None and not 0 < port < 65536:
        return
    said = _UPSTREAM.fullmatch(name)
    component = said[1] if said and said[1] in catalog.components else component_of_port(catalog, port or 0)
    key = clean_line(name if name.endswith("_pass") else f"upstream {name}", 120)
    yield Claim(component, (match[2] or "").strip("[]"), port, match[1], key, clean_line(file or DUMP, 200))
