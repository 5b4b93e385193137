"""supervisord: its posture, and every program with its settings, its past and its retries."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime

from edxconsole.cluster.model import SupervisorInfo
from edxconsole.errors import NotUnderstood, ServiceFault, ServiceUnavailable
from edxconsole.inspect.masking import mask_argv
from edxconsole.inspect.model import Value
from edxconsole.inspect.reads import CLOCK, INCLUDED
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.sight import READ_TIMEOUT, Sight
from edxconsole.inspect.supervisor_files import includes, programs
from edxconsole.inspect.supervisor_log import Past, read_past, read_stamp
from edxconsole.numerals import natural
from edxconsole.services import xmlrpc
from edxconsole.services.supervisor import SupervisorPlace
from edxconsole.services.supervisor_client import SupervisorClient
from edxconsole.services.supervisor_posture import has_cve_2017_11610, parse_version, warnings
from edxconsole.services.supervisor_program import Program, from_answer

TELLS_CONFIG = (4, 0)
LOG_TAIL = 128 * 1024
LOOP_ENDS, LOOP_SECONDS = 3, 600.0
COLUMNS = (
    "program",
    "state",
    "pid",
    "start_at",
    "exit_status",
    "starts_in_hour",
    "flapping",
    "last_end",
    "says",
)
SETTINGS = (
    "program", "user", "autostart", "autorestart", "startsecs", "startretries",
    "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "exitcodes", "in_use",
    "environment", "directory", "command",
)  # fmt: skip


async def inspect_supervisor(sight: Sight, report: Report) -> None:
    """Every supervisord of the host. Only reading calls are made; reloadConfig is not one."""
    if not sight.host.supervisors:
        report.missing("supervisord", "none was found there; see `edxconsole check`")
    for info in sight.host.supervisors:
        await _inspect_one(sight, report, info)


async def _inspect_one(sight: Sight, report: Report, info: SupervisorInfo) -> None:
    place = SupervisorPlace.of(info)
    client = SupervisorClient(
        sight.transport, place.endpoint, owner=place.owner, config=place.config, pid=place.pid
    )
    tail = "" if len(sight.host.supervisors) == 1 else f" {info.id}"
    try:
        version = await report.attempt(f"supervisord{tail}", _text(client, "supervisor.getSupervisorVersion"))
        if version is None:
            return
        await _posture(client, report, report.part(f"supervisord{tail}"), info, version)
        await _programs(sight, client, report, info, version, tail)
    finally:
        client.close()


async def _call(client: SupervisorClient, method: str, *params: str | bool | int) -> xmlrpc.Value:
    """A reading call. A relay is given back at once: it holds one of the host's few sessions."""
    try:
        return await client.read(method, *params)
    finally:
        client.release()


async def _text(client: SupervisorClient, method: str) -> str:
    found = await _call(client, method)
    return found if isinstance(found, str) else ""


async def _posture(
    client: SupervisorClient, report: Report, part: Part, info: SupervisorInfo, version: str
) -> None:
    config = await client.server_config()
    route = client.route
    part.facts(
        "XML-RPC",
        version=version,
        pid=info.identity.pid,
        state=info.word,
        spoken_to_by=str(route) if route else None,
    )
    asks = None if config.tcp is None else config.tcp_auth is not None
    part.facts(
        info.config or "no configuration file is known",
        config=info.config or None,
        tcp_port=str(config.tcp) if config.tcp else None,
        tcp_asks_for_password=asks,
        unix_socket=config.unix.path if config.unix else None,
        unix_socket_owner=info.owner or None,
    )
    part.facts("its version", cve_2017_11610=has_cve_2017_11610(parse_version(version)))
    for text in warnings(version, route, config) if route else ():
        report.degraded(text)


async def _programs(
    sight: Sight, client: SupervisorClient, report: Report, info: SupervisorInfo, version: str, tail: str
) -> None:
    answer = await report.attempt("programs", _call(client, "supervisor.getAllProcessInfo"))
    if answer is None:
        return
    states = [from_answer(row) for row in answer] if isinstance(answer, list) else []
    past, now = await _past(sight, client, report, tail)
    flapping = sight.host.restarting
    rows: list[dict[str, Value]] = []
    for program in states:
        row = _row(program, past.get(program.name, Past()), now)
        row["flapping"] = bool(row["flapping"]) or f"{info.id}/{program.full_name}" in flapping
        _judge(report, program, row)
        rows.append(row)
    report.part(f"programs{tail}").table(
        "programs", COLUMNS, rows, source="getAllProcessInfo, supervisord's log"
    )
    settings, source = await _settings(sight, client, report, info, version)
    report.part(f"settings{tail}").table("settings", SETTINGS, settings, source=source)


def _row(program: Program, past: Past, now: datetime | None) -> dict[str, Value]:
    lately = past.ends_within(now, LOOP_SECONDS) if now is not None else 0
    return {
        "program": program.full_name,
        "state": program.statename,
        "pid": program.pid or "",
        "start_at": program.start or "",
        "exit_status": program.exitstatus if program.stopped and program.stop else "",
        "starts_in_hour": past.starts_within(now, 3600.0) if now is not None else None,
        "flapping": lately >= LOOP_ENDS,
        "last_end": past.last_end,
        "says": program.detail,
    }


def _judge(report: Report, program: Program, row: Mapping[str, Value]) -> None:
    if program.health.value == "failed":
        report.down(f"{program.full_name} is {program.statename}: {program.detail or 'it does not stay up'}")
    elif row["flapping"]:
        report.degraded(f"{program.full_name} restarts again and again; {row['last_end'] or 'see its log'}")


async def _past(
    sight: Sight, client: SupervisorClient, report: Report, tail: str
) -> tuple[dict[str, Past], datetime | None]:
    """What the end of its log tells, and the host's own time as its log would write it."""
    text = await report.attempt("past of the programs", _log(client))
    clock = await report.attempt("the host's clock", sight.run(CLOCK, timeout=READ_TIMEOUT))
    if text is None or clock is None:
        return {}, None
    past, since = read_past(text)
    part = report.part(f"log{tail}")
    part.facts("supervisord's log", read_since=str(since) if since else None)
    return past, read_stamp(clock.text)


async def _log(client: SupervisorClient) -> str:
    try:
        found = await _call(client, "supervisor.readLog", -LOG_TAIL, 0)
    except ServiceFault as fault:
        raise ServiceUnavailable(f"supervisord can't read its own log: {fault.cause}") from fault
    return found if isinstance(found, str) else ""


async def _settings(
    sight: Sight, client: SupervisorClient, report: Report, info: SupervisorInfo, version: str
) -> tuple[list[dict[str, Value]], str]:
    """As supervisord tells them (4.0 and later), else as its files do."""
    if parse_version(version) >= TELLS_CONFIG:
        answer = await report.attempt("settings", _call(client, "supervisor.getAllConfigInfo"))
        named = await report.attempt("what only its files say", _of_files(sight, info, version, report))
        rows = [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []
        users = {p.uid: p.user for p in sight.host.processes.values()}
        told = [_told(row, (named or {}).get(str(row.get("name")), {}), users) for row in rows]
        return told, f"getAllConfigInfo; user, autorestart, stopasgroup, environment: {info.config}"
    found = await report.attempt("settings", _of_files(sight, info, version, report)) or {}
    return [_filed(name, said) for name, said in found.items()], f"{info.config} and what it includes"


async def _of_files(
    sight: Sight, info: SupervisorInfo, version: str, report: Report
) -> dict[str, dict[str, str]]:
    if not info.config:
        raise NotUnderstood("it runs without a configuration file that is known")
    text = await sight.read(info.config, user=info.owner or "root")
    patterns = includes(text, info.config)
    if patterns:
        result = await sight.run(["sh", "-c", INCLUDED, "sh", *patterns], timeout=READ_TIMEOUT)
        text += result.text
        if unread := result.stderr.decode("utf-8", "replace").split("\n")[:-1]:
            remedy = f"let {sight.login or 'the login user'} read them"
            report.missing("settings", f"not readable: {' '.join(unread[:5])}", remedy)
    return programs(text, info.config, parse_version(version))


def _told(
    row: Mapping[str, xmlrpc.Value], said: Mapping[str, str], users: Mapping[int, str]
) -> dict[str, Value]:
    """A row of getAllConfigInfo; `said` is the same program in the files."""

    def value(key: str) -> Value:
        found = "" if row.get(key) == "none" else row.get(key)
        return found if isinstance(found, str | int | float | bool) else None

    codes, uid = row.get("exitcodes"), value("uid")
    name, group = str(value("name") or ""), str(value("group") or "")
    return {
        **{
            key: value(key) for key in ("directory", "autostart", "startsecs", "startretries", "stopwaitsecs")
        },
        "killasgroup": value("killasgroup"),
        "stopasgroup": _is_true(said["stopasgroup"]) if "stopasgroup" in said else None,
        "program": name if name == group else f"{group}:{name}",
        "command": _command(str(value("command") or "")),
        "user": said.get("user") or (users.get(uid, str(uid)) if isinstance(uid, int) else uid),
        "autorestart": said.get("autorestart") or None,
        "stopsignal": _signal(value("stopsignal")),
        "exitcodes": ",".join(str(c) for c in codes) if isinstance(codes, list) else None,
        "environment": said.get("environment", "") if said else None,
        "in_use": value("inuse"),
    }


def _signal(number: Value) -> Value:
    """TERM for 15; signal numbers of Linux."""
    names = {1: "HUP", 2: "INT", 3: "QUIT", 9: "KILL", 10: "USR1", 12: "USR2", 15: "TERM"}
    return names.get(number, number) if isinstance(number, int) else number


def _filed(name: str, said: Mapping[str, str]) -> dict[str, Value]:
    group = said.get("group", name)
    row: dict[str, Value] = {key: value or None for key, value in said.items()}
    for key in ("startsecs", "startretries", "stopwaitsecs"):
        text = said.get(key, "")
        number = natural(text, 11)
        row[key] = (text or None) if number is None else number
    for key in ("autostart", "stopasgroup", "killasgroup"):
        row[key] = _is_true(said.get(key, ""))
    row["command"] = _command(said.get("command", ""))
    return row | {"program": name if group == name else f"{group}:{name}"}


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "yes", "on", "1")


def _command(text: str) -> str:
    try:
        return shlex.join(mask_argv(shlex.split(text)))
    except ValueError:
        return " ".join(mask_argv(text.split()))
