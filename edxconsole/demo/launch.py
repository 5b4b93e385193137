"""Start, end and find the embedded demo cluster: the functions behind `edxconsole demo`."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edxconsole.demo import cluster_plan, machine, namespaces
from edxconsole.demo.breaks import BREAKS, break_, mend
from edxconsole.demo.door import Door, to_json
from edxconsole.demo.loopback import running_loopback
from edxconsole.demo.machine import Machine
from edxconsole.demo.namespaces import Mode, Net
from edxconsole.demo.readiness import Reach, wait_live
from edxconsole.demo.state import DemoState, StateDir, directory
from edxconsole.demo.traffic import start_traffic
from edxconsole.errors import DemoError

__all__ = ["BREAKS", "break_", "headless", "mend", "notice", "run_console", "stop"]

_LIVE_SECONDS = 40.0
_STOP_SECONDS = 10.0

Say = Callable[[str], None]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run_console(open_console: Callable[[Path], int], *, say: Say = _say) -> int:
    """Start the demo, open a console on it, end the demo with it.

    This process enters the demo's namespaces first, so it must have no second thread yet; then the hosts'
    plain addresses work from it.

    Args:
        open_console: gets the path of a hosts.yaml; its result is returned.
        say: gets the few lines worth telling before the console opens.

    Raises `DemoError`.
    """
    with _running_demo(say) as state:
        return open_console(state.path / "inside.yaml")


def headless(*, say: Say = _say) -> int:
    """Start the demo, print the path of its hosts.yaml on stdout when it is live, stay until interrupted.

    The hosts.yaml works from any shell of this user. SIGINT, SIGTERM and SIGHUP end the demo. Returns 0.
    Raises `DemoError`.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with contextlib.suppress(KeyboardInterrupt), _running_demo(say) as state:
        print(state.path / "hosts.yaml", flush=True)
        while True:
            signal.pause()
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop() -> bool:
    """End this user's demo, or clean up what a killed one left. False if there was neither."""
    state = StateDir(directory())
    if not state.held():
        return state.clean()
    holder = state.holder()
    for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not state.held():
                state.clean()
                return True
            time.sleep(0.05)
    raise DemoError(f"the demo cluster does not end (process {holder})", remedy=f"look at process {holder}")


def notice(hosts: Path) -> str | None:
    """One line for the screen if `hosts` is a demo's: what is a stand-in, what is not separated."""
    state = StateDir(hosts.parent)
    if not (hosts.parent / "demo.json").is_file():
        return None
    try:
        return state.load().notice
    except DemoError:
        return None


@contextlib.contextmanager
def _running_demo(say: Say) -> Iterator[StateDir]:
    """A live demo, from the trial of namespaces to the clean directory. The mode is decided here."""
    machine.check_python()
    state = StateDir(directory())
    state.take()
    with _swept(state):
        mode, reason = _choose_mode()
        if mode is None:
            with running_loopback(state, reason, _LIVE_SECONDS, say):
                yield state
        else:
            with _running_net(state, mode, say):
                yield state


@contextlib.contextmanager
def _swept(state: StateDir) -> Iterator[None]:
    """A directory that is empty afterwards: we empty it; if we are killed, a sweeper does."""
    sweeper = subprocess.Popen(
        [*namespaces.module_command("sweeper"), str(state.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        state.leave()
        with contextlib.suppress(BrokenPipeError):  # it was killed: nothing to dismiss
            sweeper.communicate(b"done\n")


def _choose_mode() -> tuple[Mode | None, str]:
    reasons = []
    for mode in (Mode.USER, Mode.ROOT) if os.geteuid() == 0 else (Mode.USER,):
        reason = namespaces.why_not(mode)
        if reason is None:
            return mode, ""
        reasons.append(reason)
    return None, _plain(reasons[0])


def _plain(reason: str) -> str:
    """The kernel's word for "no more user namespaces" misleads."""
    word = reason.rsplit(": ", 1)[-1]
    full = "user.max_user_namespaces allows no more of them"
    return full if word == os.strerror(errno.ENOSPC) else word


def _enter(mode: Mode, log: Path) -> Net:
    try:
        return Net.enter(mode, log=log)
    except OSError as error:
        raise DemoError(
            f"this process can't enter namespaces: {error.strerror}", remedy="run: edxconsole demo --headless"
        ) from error


@contextlib.contextmanager
def _running_net(state: StateDir, mode: Mode, say: Say) -> Iterator[None]:
    found = Machine.look()
    keys = cluster_plan.Keys.make()
    state.write("id_ed25519", keys.operator.private)
    state.write("known_hosts", keys.known_hosts())
    state.write("holder", str(os.getpid()))
    with _enter(mode, state.path / "hosts.log") as net, contextlib.ExitStack() as stack:
        open_doors = None if found.sshd else stack.enter_context(_ssh_server(state.path / "sshd.log"))
        binds = machine.python_binds()
        boxes = net.start(
            *(cluster_plan.host_spec(name, found, keys, binds) for name in cluster_plan.ADDRESSES)
        )
        if open_doors:
            open_doors([cluster_plan.door(box.name, keys, box.pid, mode) for box in boxes])
        reach = Reach(cluster_plan.ADDRESSES, {box.name: box.path("/") for box in boxes})
        wait_live(reach, _LIVE_SECONDS, lambda: next((b.name for b in boxes if not b.alive()), None))
        stack.enter_context(start_traffic(cluster_plan.ADDRESSES["web"], 80))
        _publish(state, mode, {box.name: box.pid for box in boxes}, found.stand_ins, say)
        yield


def _publish(state: StateDir, mode: Mode, pids: dict[str, int], stand_ins: tuple[str, ...], say: Say) -> None:
    line = f"Demo cluster: {', '.join(stand_ins)} are stand-ins; everything else is real."
    state.write("hosts.yaml", cluster_plan.outside_inventory(state.path, [line], os.getpid()))
    state.write("inside.yaml", cluster_plan.inside_inventory(state.path, [line]))
    state.write("ssh_config", cluster_plan.ssh_config_text(state.path, os.getpid()))
    state.save(DemoState(os.getpid(), mode, pids, stand_ins, line))
    say(line)


@contextlib.contextmanager
def _ssh_server(log: Path) -> Iterator[Callable[[list[Door]], None]]:
    """Start our own SSH server; what is yielded opens its doors. It ends with the context or this thread."""
    with open(log, "ab") as output:
        server = subprocess.Popen(
            [*namespaces.module_command("sshserver"), str(os.getpid()), "-"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    stdin = server.stdin
    assert stdin is not None

    def open_doors(doors: list[Door]) -> None:
        try:
            with stdin:
                stdin.write(to_json(doors).encode())
        except BrokenPipeError as error:
            raise DemoError("the demo's SSH server ended", remedy=f"look into {log}") from error

    try:
        yield open_doors
    finally:
        server.kill()
        server.wait()
        stdin.close()
