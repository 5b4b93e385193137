"""nginx: what it serves where and hands to whom, as its checked configuration and its log say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence

from edxconsole.cluster.text import clean_line
from edxconsole.errors import ServiceFault
from edxconsole.inspect.access_log import read_mix
from edxconsole.inspect.model import NONE, Value
from edxconsole.inspect.nginx_config import Directive, read_dump
from edxconsole.inspect.reads import NGINX, NGINX_DUMP
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.sight import ANSWERS, NOT_ASKED, REFUSES, SILENT, Sight
from edxconsole.numerals import natural
from edxconsole.transport.base import Endpoint, Result, TcpEndpoint, UnixEndpoint

DUMP = "nginx -T"
MEMBER_TIMEOUT = 2.0
MAX_MEMBERS = 48
LOG_TAIL = 512 * 1024
MAX_LOGS = 4
_BEFORE = re.compile(r"^(?:nginx: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )|(?<=\] )\d{1,9}#\d{1,9}: ")
_PORT = re.compile(r"(?:.*:)?(\d{1,5})$")


async def inspect_nginx(sight: Sight, report: Report) -> None:
    """`nginx -T` is `nginx -t` and prints the configuration when that passed."""
    _processes(sight, report)
    dumped = await report.attempt("configuration", _dump(sight))
    if dumped is None:
        return
    config = await report.attempt("configuration", _checked(dumped, report))
    if config is None:
        return
    _compare_place(sight, report, config)
    _expect_workers(sight, report, config)
    _servers(sight, report.part("sites"), report, config)
    await asyncio.gather(
        _upstreams(sight, report.part("upstreams"), report, config),
        _answers(sight, report.part("answers"), report, config),
    )


def _processes(sight: Sight, report: Report) -> None:
    rows = sight.processes()
    masters = [p for p in rows if " ".join(p.argv).startswith("nginx: master")]
    leaving = sum("is shutting down" in " ".join(p.argv) for p in rows)
    report.part("processes").facts(
        "process table",
        master_pid=masters[0].pid if masters else None,
        master_user=masters[0].user if masters else None,
        workers=_workers(sight),
        workers_shutting_down=leaving,
    )
    if not masters:
        report.down("no nginx master process runs")


def _compare_place(sight: Sight, report: Report, config: Directive) -> None:
    """A master that was started with a configuration of its own is not the one that `nginx -T` reads."""
    for said in (" ".join(p.argv) for p in sight.processes()):
        named = re.search(r"\s-([cp])\s{0,4}(\S{1,500})", said) if said.startswith("nginx: master") else None
        if named is not None and (named[1], named[2]) != ("c", config.file):
            report.missing(
                "configuration in force",
                f"the master runs as `{said}`; what is told is that of plain `nginx -T`",
                "compare the two by hand: what a process calls itself is not run as root",
            )


def _workers(sight: Sight) -> int:
    """Workers that take requests; those that finish their last ones are counted apart."""
    titles = [" ".join(p.argv) for p in sight.processes()]
    return sum(t.startswith("nginx: worker process") and "shutting down" not in t for t in titles)


async def _dump(sight: Sight) -> Result:
    """Root reads what a master of root's reads; one that the login itself runs reads what the login may."""
    program = await sight.first_of(NGINX)
    owners = {p.user for p in sight.processes() if " ".join(p.argv).startswith("nginx: master")}
    return await sight.run([program, *NGINX_DUMP], user=None if owners == {sight.login} else "root")


async def _checked(dumped: Result, report: Report) -> Directive:
    """The tree of a configuration that nginx itself found good. Raises NotUnderstood, ServiceFault."""
    # Once it has read where its error log is, nginx writes its lines as in there.
    lines = (_BEFORE.sub("", x) for x in dumped.stderr.decode("utf-8", "replace").splitlines())
    said = [x for x in lines if x.startswith(("[", "configuration file ", "the configuration file "))]
    part = report.part("check")
    warnings = [x for x in said if x.startswith("[warn]")]
    grave = (x for x in said if x.startswith(("[emerg]", "[alert]", "[crit]", "[error]")))
    last = clean_line(next(grave, said[-1] if said else ""))
    part.facts("nginx -t", passes=dumped.ok, says=last, warnings=len(warnings))
    for text in warnings:
        report.degraded(f"nginx -t warns: {text.removeprefix('[warn] ')}")
    if not dumped.ok:
        report.degraded(f"nginx -t fails, a reload or restart will too: {last}")
        raise ServiceFault(
            "nginx prints no configuration that fails its check", remedy="mend it and look again"
        )
    return read_dump(dumped.text)


def _expect_workers(sight: Sight, report: Report, config: Directive) -> None:
    said = next((d.args[0] for d in config.all("worker_processes") if d.args), "1")
    wanted = sight.cores if said == "auto" else natural(said, 5)
    per = next((d.args[0] for e in config.all("events") for d in e.all("worker_connections") if d.args), None)
    report.part("workers").facts(
        DUMP,
        worker_processes=said,
        expected=wanted,
        worker_connections=NONE if per is None else natural(per, 8),
        user=next((d.args[0] for d in config.all("user") if d.args), NONE),
    )
    found = _workers(sight)
    if wanted is not None and found and found < wanted:
        report.degraded(f"{found} of {wanted} workers run")


def _servers(sight: Sight, part: Part, report: Report, config: Directive) -> None:
    """One row per `listen` of a server block."""
    rows: list[dict[str, Value]] = []
    open_ports = {s.port for s in sight.host.listeners if s.proto != "unix"}
    for server in _blocks(config, "server"):
        names = [n for d in server.all("server_name") for n in d.args]
        goes = list(dict.fromkeys(_target(d) for d in server.walk() if d.name in _PASSES and d.args))
        roots = [d.args[0] for d in server.walk() if d.name in ("root", "alias") and d.args]
        for args in [d.args for d in server.all("listen") if d.args] or [("80",)]:
            port = _port(args[0])
            rows.append(
                {
                    "listen": args[0],
                    "port": port,
                    "listening": port in open_ports if port is not None else None,
                    "tls": "ssl" in args or any(d.args[:1] == ("on",) for d in server.all("ssl")),
                    "default": "default_server" in args or "default" in args,
                    "names": " ".join(names),
                    "passes_to": " ".join(goes),
                    "root": roots[0] if roots else "",
                    "file": server.file,
                }
            )
    columns = ("port", "listening", "listen", "tls", "default", "names", "passes_to", "root", "file")
    part.table("servers", columns, sorted(rows, key=lambda r: (r["port"] or 0, str(r["file"]))), source=DUMP)
    silent = sorted({r["port"] for r in rows if r["listening"] is False and isinstance(r["port"], int)})
    if silent and sight.processes() and sight.host.listeners:
        ports = ", ".join(str(p) for p in silent)
        report.degraded(f"configured but not listened on: {ports}; a reload that failed or was forgotten?")


_PASSES = ("proxy_pass", "uwsgi_pass", "fastcgi_pass", "grpc_pass", "scgi_pass")


def _target(found: Directive) -> str:
    """Where a location passes to, without the URL's scheme and path."""
    return found.args[0].partition("://")[2].partition("/")[0] or found.args[0]


def _port(listen: str) -> int | None:
    if listen.startswith("unix:"):
        return None
    found = _PORT.match(listen)
    return int(found[1]) if found else 80


def _blocks(config: Directive, name: str) -> Iterable[Directive]:
    return (d for http in config.all("http") for d in http.all(name) if d.block is not None)


async def _upstreams(sight: Sight, part: Part, report: Report, config: Directive) -> None:
    """Each member with what the configuration says of it and whether it accepts a connection from here."""
    found = [(u.args[0], m.args) for u in _blocks(config, "upstream") if u.args for m in u.all("server")]
    members = [(name, args) for name, args in found if args]
    asked = list(dict.fromkeys(args[0] for _, args in members if _asked(args)))
    states = await _ask_members(sight, asked[:MAX_MEMBERS])
    rows: list[dict[str, Value]] = []
    for name, args in members:
        state = "down by configuration" if not _asked(args) else states.get(args[0], NOT_ASKED)
        rows.append({"upstream": name, "member": args[0], "state": state, "settings": " ".join(args[1:])})
    part.table("members", ("upstream", "member", "state", "settings"), rows, source=f"{DUMP}, connect")
    for name in dict.fromkeys(str(r["upstream"]) for r in rows):
        _judge(report, name, [r for r in rows if r["upstream"] == name])


def _asked(args: Sequence[str]) -> bool:
    return "down" not in args[1:]


def _judge(report: Report, name: str, rows: list[dict[str, Value]]) -> None:
    dead = [f"{r['member']} ({r['state']})" for r in rows if _is_dead(str(r["state"]))]
    if not dead:
        return
    if not any(r["state"] == ANSWERS for r in rows):
        report.down(f"no member of {name} answers: {', '.join(dead)}")
    else:
        report.degraded(f"{name}: no answer from {', '.join(dead)}")


def _is_dead(state: str) -> bool:
    return state in (REFUSES, SILENT)


async def _ask_members(sight: Sight, members: Sequence[str]) -> dict[str, str]:
    """Member -> what a connection comes to. A few at a time: sshd opens each for us."""
    gate = asyncio.Semaphore(6)

    async def ask(member: str) -> str:
        endpoint = _endpoint(member)
        if endpoint is None:
            return NOT_ASKED
        async with gate:
            return await sight.connects(endpoint, MEMBER_TIMEOUT)

    return dict(zip(members, await asyncio.gather(*(ask(m) for m in members)), strict=True))


def _endpoint(member: str) -> Endpoint | None:
    """`host:port`, `host`, `[::1]:80` or `unix:/path`."""
    if member.startswith("unix:/"):
        return UnixEndpoint(member.removeprefix("unix:"))
    host, colon, port = member.rpartition(":")
    if not colon or member.endswith("]"):
        host, port = member, "80"
    number = natural(port, 5)
    if "$" in member or not host or number is None or not 0 < number < 65536:
        return None
    return TcpEndpoint(host.strip("[]"), number)


async def _answers(sight: Sight, part: Part, report: Report, config: Directive) -> None:
    """Status codes at the end of each access log."""
    paths = [d.args[0] for d in config.walk() if d.name == "access_log" and d.args]
    logs = [p for p in dict.fromkeys(paths) if p.startswith("/") and "$" not in p]
    rows: list[dict[str, Value]] = []
    for path in logs[:MAX_LOGS]:
        text = await report.attempt(f"answers in {path}", sight.tail(path, LOG_TAIL))
        if text is None:
            continue
        mix = read_mix(text)
        row: dict[str, Value] = {f"{n}xx_percent": mix.share(n) for n in (2, 3, 4, 5)}
        most = " ".join(f"{code}:{n}" for code, n in mix.codes.most_common(8))
        row |= {"log": path, "lines": mix.total, "since": mix.first, "until": mix.last}
        rows.append(row | {"codes": most, "other_lines": mix.unread})
    columns = ("log", "lines", "2xx_percent", "3xx_percent", "4xx_percent", "5xx_percent", "codes")
    part.table("status_codes", (*columns, "since", "until", "other_lines"), rows, source="end of the log")
    if len(logs) > MAX_LOGS:
        report.missing("answers", f"there are {len(logs)} access logs; the first {MAX_LOGS} were read")
