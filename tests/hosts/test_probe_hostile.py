"""Hosts that lie, flood or show ugly things: bounded, clean, and nobody else is touched."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest

from edxconsole.cluster.model import HostSnapshot, Link
from edxconsole.logs.model import LogSource
from tests.lab import small
from tests.lab.lab import Lab
from tests.lab.small import Log
from tests.lab.watching import until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(150)]

UGLY = r"""
import os, sys, time
names = [b'\x1b[31mred\x07', b'[bold]x[/]', b'\xff\xfe\xfd', b'a\nb\rc', b'\xe2\x80\xaeevil', b") S 1 1"]
for name in names:
    if os.fork() == 0:
        path = b'/tmp/' + name.replace(b'/', b'_')
        os.symlink(b'/bin/sleep', path)
        os.execv(path, [name * 3, b'100000'])
if os.fork() == 0:
    os.execv('/bin/sh', ['sh', '-c', 'sleep 100000; :'] + ['\x1b]0;x\x07' + 'y' * 100000] * 10)
if os.fork() == 0:
    os.execv('/bin/sh', ['sh', '-c', 'sleep 100000; :'] + ['z'] * 60000)
time.sleep(100000)
"""

HELLO = (
    '{"k":"hello","n":0,"t":1.0,"edxprobe":1,"python":"3.11","pid":1,"uid":0,"user":"root","hostname":"h","kernel":"k",'
    '"cores":1,"ticks":100,"boot":1.0,"zone":0,"caps":[],"ro":1,"shell":0}'
)
LIARS = {
    "garbage": "echo I am not Python; sleep 1",
    "flood": "exec yes 'spam and eggs'",
    "one endless line": "exec cat /dev/zero",
    "flood of json": """exec yes '{"k":"beat","n":1,"t":1.0}'""",
    "hello then garbage": f"echo '{HELLO}'; echo garbage; sleep 100",
    "hello then flood": f"echo '{HELLO}'; exec yes garbage",
    "hello of the future": "echo '" + HELLO.replace('"edxprobe":1', '"edxprobe":99') + "'; sleep 100",
    "deep nesting": f"""echo '{HELLO}'; head -c 60000 /dev/zero | tr '\\0' '['; echo; sleep 100""",
    "frames out of order": f"""echo '{HELLO}'; echo '{HELLO.replace('"n":0', '"n":7')}'; sleep 100""",
    "numbers too big": f"""echo '{HELLO}'; echo '{{"k":"beat","n":1,"t":1e999}}'; sleep 100""",
    "ends at once": "exit 3",
    "says nothing": "exec sleep 100",
}
PYTHON = """#!/bin/sh
for last; do :; done
case "$*" in *"sys.exit(not("*) exit 0;; esac
{lie}
"""


def printable(text: str) -> bool:
    return all(c.isprintable() for c in text) and "\u202e" not in text


def texts(host: HostSnapshot) -> list[str]:
    """Everything of a host that a screen may show."""
    processes = [t for p in host.processes.values() for t in (p.comm, p.user, *p.argv)]
    return [*processes, *(row.process for row in host.listeners), *host.notes, host.reason, host.hostname]


async def test_ugly_names_are_shown_clean_and_bounded(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("ugly", files={"/run/lab/ugly.py": UGLY})
    host.spawn("python3 /run/lab/ugly.py")
    async with watching(lab.inventory(), tmp_path) as engine:
        await until(
            engine,
            lambda s: (
                sum("sleep" in p.comm or p.comm == "sh" for p in s.hosts["ugly"].processes.values()) >= 2
            ),
            within=30,
            what="its processes",
        )
        await asyncio.sleep(1.5)
        seen = engine.snapshot.hosts["ugly"]
        assert seen.link is Link.LIVE
        assert not [t for t in texts(seen) if not printable(t)]
        true = set((await host.ash("ps -eo pid= | grep -o '[0-9]*'")).split())
        assert {str(pid) for pid in seen.processes} <= true | {"0"}
        assert max(sum(len(a) for a in p.argv) for p in seen.processes.values()) < 8192
        assert len([p for p in seen.processes.values() if p.argv and "100000" in p.argv[-1]]) >= 6


async def test_two_thousand_processes(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("crowd")
    async with watching(lab.inventory(), tmp_path) as engine:
        await small.is_live(engine, "crowd")
        await host.ash("for i in $(seq 2000); do sleep 100000 & done >/dev/null 2>&1", timeout=60)

        def crowd(host: HostSnapshot) -> int:
            return sum(p.comm == "sleep" for p in host.processes.values())

        await until(engine, lambda s: crowd(s.hosts["crowd"]) >= 2000, within=30, what="2000 processes")
        assert engine.session("crowd").attempts == 1
        await host.ash("kill $(pgrep -x sleep | tail -n 2000)")
        await until(engine, lambda s: crowd(s.hosts["crowd"]) <= 2, within=30, what="their end")
        assert engine.snapshot.hosts["crowd"].link is Link.LIVE


async def test_a_line_of_fifty_megabytes(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("line", disk_mib=512)
    path = "/var/log/big.log"
    await host.ash(f"head -c 50000000 /dev/zero | tr '\\0' x >{path}")
    async with watching(lab.inventory(), tmp_path) as engine:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log = Log()
        await engine.follow([LogSource("line", path)], log.feed)
        await asyncio.sleep(1)
        await host.ash(f"head -c 20000000 /dev/zero | tr '\\0' y >>{path}; echo >>{path}; echo end >>{path}")
        await log.until(lambda g: g.lines(path)[-1:] == ["end"], within=40)
        assert max(len(line) for line in log.lines(path)) <= 128 * 1024
        assert engine.session("line").attempts == 1
        assert engine.snapshot.hosts["line"].link is Link.LIVE
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


@pytest.mark.parametrize("lie", LIARS)
async def test_a_liar_is_cut_off_alone(lab: Lab, tmp_path: Path, lie: str) -> None:
    liar, good = lab.hosts(2)
    script = PYTHON.format(lie=LIARS[lie])
    await liar.ash(f"cat >/usr/local/bin/python3 <<'EOF'\n{script}\nEOF\nchmod 755 /usr/local/bin/python3")
    async with watching(lab.inventory(), tmp_path, settle=0) as engine:
        await small.is_live(engine, good.name, within=30)
        version = engine.snapshot.hosts[good.name].ages["vitals"].seen
        await until(
            engine,
            lambda s: s.hosts[liar.name].link in (Link.BACKOFF, Link.LOST),
            within=40,
            what="the liar cut off",
        )
        seen = engine.snapshot.hosts[liar.name]
        assert printable(seen.reason)
        assert len(seen.reason) < 500
        assert seen.reason.endswith(".")
        said = {
            "garbage": ("status 0, saying: I am not Python",),
            "ends at once": ("status 3",),
            "says nothing": ("said nothing", "nothing was heard", "ended"),
        }.get(lie, ("talks", "sends", "line without end", "protocol"))
        assert any(words in seen.reason for words in said), seen.reason
        assert [p.host for p in engine.snapshot.problems if p.component == ""] == [liar.name]
        await until(
            engine, lambda s: s.hosts[good.name].ages["vitals"].seen > version, within=30, what="the other"
        )
        assert engine.snapshot.hosts[good.name].link is Link.LIVE
        # Mended, it comes back by itself.
        await liar.ash("rm /usr/local/bin/python3")
        engine.reconnect(liar.name)
        await small.is_live(engine, liar.name)
