"""What the probe says of this machine, against psutil at the same moment."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edxconsole.probe.frames import Beat, Listeners, Processes, ProcessRow, Vitals
from tests.unit.probe.probing import Start, Watch

KTHREADD = 2


def has_row(pid: int, argv: tuple[str, ...], frame: Processes) -> bool:
    return any(row.pid == pid and row.argv == argv for row in frame.new)


class Table:
    """The process table as a consumer builds it from full and delta frames."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def rows(self) -> dict[int, ProcessRow]:
        rows: dict[int, ProcessRow] = {}
        for frame in self.watch.of(Processes):
            if frame.full:
                rows.clear()
            for pid in frame.gone:
                rows.pop(pid, None)
            rows.update({row.pid: row for row in frame.new})
        return rows


async def one_more_sample(watch: Watch, count: int = 2) -> None:
    for _ in range(count):
        seen = len(watch.seen)
        await watch.until(Beat, since=seen)


async def test_processes(start: Start) -> None:
    before = {(p.pid, p.create_time()) for p in psutil.process_iter()}
    watch = await start()
    await watch.until(Beat)
    rows = Table(watch).rows()
    hello = watch.channel.hello
    steady = 0
    for pid, created in before:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                facts = (process.ppid(), process.uids().effective, process.cmdline(), process.create_time())
                name = process.name()
        except psutil.NoSuchProcess:
            continue
        if pid == KTHREADD or facts[0] == KTHREADD or facts[3] != created or not facts[2]:
            continue
        row = rows[pid]
        assert (row.ppid, row.uid) == facts[:2]
        assert name.startswith(row.comm) or row.comm == name[:15]
        assert abs(hello.boot + row.start / hello.ticks - created) < 1.5
        steady += 1
    assert steady >= 3
    assert rows[os.getpid()].argv[0] == psutil.Process().cmdline()[0]
    assert not any(row.ppid == KTHREADD for row in rows.values())


async def test_counters_of_a_busy_process(start: Start) -> None:
    busy = await asyncio.create_subprocess_exec(shutil.which("sh") or "sh", "-c", "while :; do :; done")
    try:
        watch = await start()
        await watch.until(Beat)
        await watch.channel.pace(5)
        first = await watch.until(Processes, lambda p: busy.pid in p.changed)
        later = await watch.until(Processes, lambda p: busy.pid in p.changed and p.t > first.t + 0.9)
        state, cpu, rss, threads = later.changed[busy.pid]
        spent = (cpu - first.changed[busy.pid][1]) / watch.channel.hello.ticks
        assert 0.1 < spent <= (later.t - first.t) * 1.2
        process = psutil.Process(busy.pid)
        assert abs(rss - process.memory_info().rss // 1024) < 512
        assert (state, threads) == ("R", 1)
    finally:
        busy.kill()
        await busy.wait()


async def test_exec_shows_the_new_program(start: Start) -> None:
    watch = await start()
    await watch.until(Beat)
    child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 1.5; exec sleep 77")
    try:
        came = await watch.until(Processes, lambda p: any(r.pid == child.pid for r in p.new))
        row = next(r for r in came.new if r.pid == child.pid)
        again = await watch.until(
            Processes, lambda p: any(r.pid == child.pid and r.argv == ("sleep", "77") for r in p.new)
        )
        new = next(r for r in again.new if r.pid == child.pid)
        assert (row.comm, new.comm, row.start) == ("sh", "sleep", new.start)
    finally:
        child.kill()
        await child.wait()


async def test_zombie_then_gone(start: Start) -> None:
    watch = await start()
    await watch.until(Beat)
    pid = await asyncio.to_thread(os.posix_spawnp, "sleep", ["sleep", "60"], {})
    await watch.until(Processes, lambda p: any(r.pid == pid for r in p.new))
    os.kill(pid, signal.SIGKILL)
    await watch.until(Processes, lambda p: p.changed.get(pid, ("",))[0] == "Z")
    await asyncio.to_thread(os.waitpid, pid, 0)
    await watch.until(Processes, lambda p: pid in p.gone)


async def test_an_orphan_gets_its_new_parent(start: Start) -> None:
    watch = await start()
    await watch.until(Beat)
    child = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        "sleep 66 >/dev/null 2>&1 & echo $!; read x",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin
    assert child.stdout
    orphan = int(await child.stdout.readline())
    try:
        await watch.until(Processes, lambda p: any(r.pid == orphan and r.ppid == child.pid for r in p.new))
        child.stdin.close()
        await child.wait()
        await watch.until(Processes, lambda p: any(r.pid == orphan and r.ppid != child.pid for r in p.new))
    finally:
        os.kill(orphan, signal.SIGKILL)


@pytest.mark.root
async def test_pid_reuse_is_gone_and_new(start: Start) -> None:
    """In a pid namespace of its own, where the next pid can be chosen."""
    watch = await start(prefix=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    inside = psutil.Process(watch.channel.hello.pid) if watch.channel.hello.pid > 100 else None
    assert inside is None, "the probe is not in a pid namespace"
    await watch.until(Beat)
    probe = next(p for p in psutil.Process().children(recursive=True) if "unshare" in p.name()).children()[0]
    enter = ["nsenter", "-t", str(probe.pid), "-p", "-m", "sh", "-c"]
    script = "echo {0} >/proc/sys/kernel/ns_last_pid; sleep {1} & echo $!; read x; kill $!; wait $!"
    starts = []
    for seconds in (41, 42):
        child = await asyncio.create_subprocess_exec(
            *enter,
            script.format(4999, seconds),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin
        assert child.stdout
        assert int(await child.stdout.readline()) == 5000
        want = ("sleep", str(seconds))
        frame = await watch.until(Processes, functools.partial(has_row, 5000, want))
        starts.append(next(r.start for r in frame.new if r.pid == 5000))
        child.stdin.close()
        await child.wait()
    assert starts[0] != starts[1]
    gone = next(p for p in watch.of(Processes) if 5000 in p.gone)
    assert gone.n <= frame.n


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """tcp on 127.0.0.1, 0.0.0.0, ::1, :: and mapped; unix with a supervisor-like name."""
    opened = [socket.create_server((host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
    opened += [socket.create_server((host, 0), family=socket.AF_INET6) for host in ("::1", "::")]
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "forum.sock"))
    unix.listen()
    opened.append(unix)
    yield opened
    for one in opened:
        one.close()


async def test_listeners_and_owners(start: Start, sockets: list[socket.socket], tmp_path: Path) -> None:
    watch = await start()
    frame = await watch.until(Listeners)
    await watch.until(Beat)
    ours = {(r.proto, r.address, r.port): r for r in frame.rows if r.pid == os.getpid()}
    for one in sockets[:4]:
        address, port = one.getsockname()[:2]
        row = ours["tcp6" if ":" in address else "tcp", address, port]
        assert (row.how, row.uid, row.inode) == ("owner", os.getuid(), os.fstat(one.fileno()).st_ino)
    assert ("unix", str(tmp_path / "forum.sock"), 0) in ours
    told = {(r.address, r.port) for r in frame.rows if r.port}
    oracle = {
        (c.laddr.ip.removeprefix("::ffff:"), c.laddr.port, c.pid)
        for c in await asyncio.to_thread(psutil.net_connections, "tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr
    }
    again = await watch.channel.resync()
    assert again.error == ""
    after = await watch.until(Listeners, since=watch.seen.index(frame) + 1)
    both = told & {(r.address, r.port) for r in after.rows if r.port}
    assert both <= {x[:2] for x in oracle}
    owners = {(r.address, r.port): r.pid for r in after.rows if r.how == "owner"}
    for address, port, pid in oracle:
        if pid is not None and (address, port) in both:
            family = {pid, *(p.pid for p in psutil.Process(pid).parents())}
            assert owners[address, port] in family


async def test_a_port_opens_and_closes(start: Start) -> None:
    watch = await start()
    await watch.until(Beat)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    opened = await watch.until(Listeners, lambda x: any(r.port == port for r in x.rows))
    row = next(r for r in opened.rows if r.port == port)
    assert (row.pid, row.how) == (os.getpid(), "owner")
    server.close()
    await watch.until(
        Listeners, lambda x: all(r.port != port for r in x.rows), since=watch.seen.index(opened)
    )


async def test_thousands_of_listeners_come_as_one_frame(start: Start) -> None:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(900)]
    try:
        watch = await start()
        frame = await watch.until(Listeners)
        assert {s.getsockname()[1] for s in servers} <= {r.port for r in frame.rows}
    finally:
        for server in servers:
            server.close()


async def test_vitals(start: Start) -> None:
    watch = await start()
    await one_more_sample(watch)
    vitals = watch.of(Vitals)[-1]
    assert vitals.load == pytest.approx(psutil.getloadavg(), abs=0.5)
    memory = psutil.virtual_memory()
    assert vitals.mem_total == memory.total // 1024
    assert abs(vitals.mem_available - memory.available // 1024) < vitals.mem_total * 0.05
    assert vitals.swap_total == psutil.swap_memory().total // 1024
    assert 0 <= vitals.cpu <= 1
    root = next(d for d in vitals.disks if d.mount == "/")
    usage = shutil.disk_usage("/")
    assert root.total == usage.total // 1024
    assert abs(root.free - usage.free // 1024) < root.total * 0.01
    assert root.inodes == os.statvfs("/").f_files
    assert vitals.users[os.getuid()] == psutil.Process().username()


@pytest.mark.root
async def test_a_hung_mount_stops_nothing(start: Start, tmp_path: Path) -> None:
    """A FUSE filesystem whose server never answers, mounted where only the probe sees it."""
    script = (
        "import os,sys,ctypes\n"
        "fd=os.open('/dev/fuse',os.O_RDWR)\n"
        "opts=('fd=%d,rootmode=40000,user_id=0,group_id=0'%fd).encode()\n"
        "libc=ctypes.CDLL(None,use_errno=True)\n"
        f"r=libc.mount(b'dead',b'{tmp_path}',b'fuse.dead',0,opts)\n"
        "assert r==0,ctypes.get_errno()\n"
        "os.set_inheritable(fd,True)\n"
        "os.execvp(sys.argv[1],sys.argv[1:])\n"
    )
    if not os.access("/dev/fuse", os.R_OK):
        pytest.skip("left out: /dev/fuse is not there")
    watch = await start(prefix=["unshare", "--mount", "--propagation", "private", "python3", "-c", script])
    await one_more_sample(watch, 4)
    assert str(tmp_path) not in {d.mount for d in watch.of(Vitals)[-1].disks}


async def test_connections_are_folded_by_peer(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        watch = await start()
        rows = (await watch.channel.connections()).value
        for client in clients:
            client.close()
    assert isinstance(rows, list)
    assert [1, "127.0.0.1", port, "127.0.0.1", 3, os.getuid()] in rows
