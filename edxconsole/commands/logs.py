"""`edxconsole logs`: the last lines of any logs on any hosts, or all that comes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from edxconsole.cluster.model import HostSnapshot, State
from edxconsole.cluster.text import clean_line, clean_text
from edxconsole.commands.observing import exit_status, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import SCHEMA, Printer, mask
from edxconsole.engine import Engine
from edxconsole.errors import UsageError
from edxconsole.logs.model import LogBatch, LogFeed, LogSource

QUIET = 0.4
"""seconds without anything new after which every last line has arrived"""
LAST = 2.0
"""seconds after which a log that never is quiet is left"""
MAX_LINE = 16_384


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    timeout: float
    follow: bool
    lines: int
    pattern: re.Pattern[str] | None
    personal: bool
    list_only: bool
    times: bool
    as_json: bool


class _Sink:
    """Prints batches: a gutter that says where a line is from, or one JSON object per line."""

    def __init__(self, sources: list[LogSource], wish: Wish) -> None:
        self._out, self._pattern, self._json = Printer(), wish.pattern, wish.as_json
        self._times = wish.times
        self._gutter = max((len(_where(s)) for s in sources), default=0)
        self.heard: set[tuple[str, str]] = set()

    def show(self, batch: LogBatch) -> None:
        self.heard.add((batch.source.host, batch.source.path))
        if batch.mark and batch.mark != "start":
            self._mark(batch)
        lines = batch.data.split("\n")[:-1] if batch.times else batch.data.splitlines()
        for line, at in zip(lines, batch.times or [None] * len(lines), strict=True):
            if self._pattern is None or self._pattern.search(line[:MAX_LINE]):
                self._line(batch, line[:MAX_LINE], at)

    def _line(self, batch: LogBatch, line: str, at: float | None) -> None:
        if self._json:
            self._object(batch, {"line": mask(line)}, at)
            return
        when = f"{clock(at)}  " if at is not None and self._times else ""
        text = mask(clean_text(line).replace("\n", " "))
        self._out.line(f"{_where(batch.source):<{self._gutter}}  {when}{text}")

    def _mark(self, batch: LogBatch) -> None:
        """What happened to the file, where it happened; losses are counted."""
        if self._json:
            self._object(batch, {"mark": batch.mark, "lost": batch.lost, "why": batch.why})
            return
        unit = "lines" if batch.mark == "dropped" else "bytes"
        lost = f", {batch.lost} {unit} lost" if batch.lost else ""
        lost += f": {clean_line(batch.why)}" if batch.why else ""
        self._out.line(
            f"{_where(batch.source):<{self._gutter}}  -- {batch.source.path}: {batch.mark}{lost} --"
        )

    def _object(self, batch: LogBatch, body: dict[str, object], at: float | None = None) -> None:
        source = batch.source
        head = {"schema": SCHEMA, "kind": "log", "host": source.host, "path": source.path}
        json.dump(
            {**head, "component": source.component, "at": batch.at if at is None else at, **body}, sys.stdout
        )
        print()

    def flush(self) -> None:
        sys.stdout.flush()


def clock(at: float) -> str:
    """A moment as this console's clock shows it, to the millisecond."""
    return datetime.fromtimestamp(at).isoformat(sep=" ", timespec="milliseconds")


def _where(source: LogSource) -> str:
    return f"{source.host} {source.name or source.path.rpartition('/')[2]}"


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 100_000),
    default=20,
    show_default=True,
    help="Last lines per file.",
)
@click.option("--grep", metavar="REGEX", help="Only lines that match.")
@click.option("--personal", is_flag=True, help="Logs with personal data too (tracking.log).")
@click.option("-t", "--times", is_flag=True, help="The time of each line that Docker tells one of.")
@click.option("--list", "list_only", is_flag=True, help="Only list the files.")
@reading
def logs(
    selectors: tuple[str, ...],
    follow: bool,
    lines: int,
    grep: str | None,
    personal: bool,
    list_only: bool,
    times: bool,
    hosts: Path | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Print or follow the logs of any components on any hosts.

    With --json each line is one JSON object.
    """
    try:
        pattern = re.compile(grep) if grep is not None else None
    except re.error as error:
        raise UsageError(f"--grep {grep!r} is no regular expression: {error}") from error
    opened = open_cluster(hosts, selectors)
    return run(_logs(opened, Wish(timeout, follow, lines, pattern, personal, list_only, times, as_json)))


async def _logs(opened: Opened, wish: Wish) -> int:
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(wish.timeout)
        shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
        sources = _sources(engine, opened, shown, wish.personal)
        for sentence in silent_hosts(shown):
            print(f"edxconsole: {clean_text(sentence)}", file=sys.stderr)
        if not sources and all(h.trusted for h in shown):
            raise UsageError("nothing that was asked for has a log there", remedy="see `edxconsole status`")
        if wish.list_only:
            _list(sources, wish.as_json)
        elif sources:
            sink = _Sink(sources, wish)
            await _pour(engine, sources, sink, wish.lines, None if wish.follow else wish.timeout)
        return exit_status(shown, wrong=False)


def _sources(engine: Engine, opened: Opened, shown: list[HostSnapshot], personal: bool) -> list[LogSource]:
    """The logs that were asked for; those with personal data only when that was said."""
    live = [h for h in shown if h.trusted]
    found = [s for s in engine.log_sources([h.name for h in live]) if not s.personal]
    for host in live if personal else []:
        for component in {i.component for i in host.instances if i.state is not State.ABSENT}:
            known = opened.catalog.get(component)
            logs_of = [log for log in known.logs if log.personal] if known else []
            found += [LogSource(host.name, x.path, component, x.name, x.format, True) for x in logs_of]
    return [s for s in found if opened.means(s.host, s.component)]


def _list(sources: list[LogSource], as_json: bool) -> None:
    if as_json:
        for s in sources:
            body = {
                "host": s.host,
                "component": s.component,
                "name": s.name,
                "path": s.path,
                "format": s.format,
            }
            print(json.dumps({"schema": SCHEMA, "kind": "log-source", **body}))
        return
    rows = [[s.host, s.component or "-", s.name, s.format, s.path] for s in sources]
    Printer().table(["HOST", "COMPONENT", "NAME", "FORMAT", "PATH"], rows)


async def _pour(
    engine: Engine, sources: list[LogSource], sink: _Sink, lines: int, timeout: float | None
) -> None:
    """Feed the sink: for ever, or until every source was heard and nothing new comes, or the time is over."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(arrived.set)

    feed = LogFeed(wake=wake)
    stop = await engine.follow(sources, feed, last_lines=lines)
    end = None if timeout is None else time.monotonic() + timeout
    try:
        while end is None or time.monotonic() < end:
            everything = len(sink.heard) >= len(sources)
            wait = None if end is None else QUIET if everything else end - time.monotonic()
            try:
                await asyncio.wait_for(arrived.wait(), wait)
            except TimeoutError:
                break
            arrived.clear()
            for batch in feed.drain():
                sink.show(batch)
            sink.flush()
            if end is not None and not everything and len(sink.heard) >= len(sources):
                end = min(end, time.monotonic() + LAST)
    finally:
        stop()
    _say_dropped(feed)


def _say_dropped(feed: LogFeed) -> None:
    if feed.dropped_lines:
        print(f"edxconsole: {feed.dropped_lines} lines came too fast and were dropped.", file=sys.stderr)
