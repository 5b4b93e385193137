"""Failures to look at: each is made for real on the running demo, from any shell of the same user."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edxconsole.demo.cluster_plan import ADDRESSES
from edxconsole.demo.hostinit import veth_name
from edxconsole.demo.namespaces import module_command, pid_namespace, signal_all
from edxconsole.demo.state import LOOPBACK, DemoState, StateDir, directory
from edxconsole.errors import DemoError

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """The running demo, as another shell acts on it."""

    state: DemoState
    path: Path

    def shell(self, host: str, script: str) -> None:
        """Run sh in a host. `$R` is what goes before each path. Raises `DemoError` with its last line."""
        env: dict[str, str] | None = None
        if self.state.mode == LOOPBACK:
            root = str(self.path / host)
            argv = ["sh", "-euc", script]
            env = os.environ | {"R": root, "EDX_DEMO_ROOT": root}
        else:
            enter = [*module_command("enter"), str(self.state.pids[host]), "--"]
            argv = [*enter, "sh", "-euc", "R=; " + script]
        done = subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            start_new_session=True,
        )
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit {done.returncode}"]
            raise DemoError(f"the demo's own command failed: {last[0]}", host=host)

    def need_separate(self, host: str, what: str) -> None:
        """Raises `DemoError` in a demo without namespaces, whose hosts share the machine's `what`."""
        if self.state.mode == LOOPBACK:
            raise DemoError(f"without namespaces the hosts have no {what} of their own", host=host)

    def signal_host(self, host: str, number: signal.Signals) -> None:
        """Signal every process of a host."""
        self.need_separate(host, "processes")
        signal_all(lambda: pid_namespace(self.state.pids[host]), number)

    def plug(self, host: str, up: bool) -> None:
        """Plug a host's network cable in or out."""
        self.need_separate(host, "network")
        argv = [*module_command("cable"), str(self.state.holder), veth_name(ADDRESSES[host])]
        done = subprocess.run(
            [*argv, "up" if up else "down"], capture_output=True, text=True, timeout=_SECONDS
        )
        if done.returncode:
            raise DemoError(f"the cable can't be moved: {done.stderr.strip()}", host=host)


@dataclass(frozen=True, slots=True)
class Break:
    """One failure: a sentence for `--help`, how it is made, how it is ended."""

    description: str
    make: Callable[[Scene], None]
    mend: Callable[[Scene], None]


_CTL = '"$R/edx/bin/supervisorctl"'
_CMS = '"$R/edx/app/edxapp/edx-platform/cms/wsgi.py"'
_CRASH = f"""
[ -e {_CMS}.whole ] || cp {_CMS} {_CMS}.whole
cat >{_CMS} <<'END'
import time

time.sleep(2)
raise ImportError("No module named 'cms.djangoapps.badges'")
END
{_CTL} signal KILL edxapp:cms
"""
_UNCRASH = f"""
[ -e {_CMS}.whole ] && mv {_CMS}.whole {_CMS}
{_CTL} restart edxapp:cms
"""
_ORPHAN = f"""
{_CTL} stop edxapp:lms
cd "$R/edx/app/edxapp"
export SERVICE_VARIANT=lms
setsid "$R/edx/app/edxapp/venvs/edxapp/bin/gunicorn" -c "$R/edx/app/edxapp/lms_gunicorn.py" \
    --pid "$R/run/orphan.pid" lms.wsgi >/dev/null 2>&1 </dev/null &
for _ in $(seq 50); do [ -s "$R/run/orphan.pid" ] && break; sleep 0.1; done
{_CTL} start edxapp:lms >/dev/null || :
"""
_UNORPHAN = f"""
kill "$(cat "$R/run/orphan.pid")" 2>/dev/null || :
for _ in $(seq 100); do [ -e "$R/run/orphan.pid" ] || break; sleep 0.1; done
{_CTL} stop edxapp:lms >/dev/null || :
{_CTL} start edxapp:lms
"""
_WORKER = "edxapp_worker:lms_default_1"
_STUCK = f"""
export EDX_DEMO_ROOT="${{R:-/}}"
"$R/edx/app/edxapp/venvs/edxapp/bin/python" -c '
from edxconsole.demo.cluster.tasks import occupy
occupy("lms")'
sleep 1
setsid {_CTL} stop {_WORKER} >/dev/null 2>&1 </dev/null &
"""
_UNSTUCK = f"""
pid=$({_CTL} pid {_WORKER})
[ "$pid" -gt 1 ] && kill -KILL "$pid"
for _ in $(seq 50); do {_CTL} status {_WORKER} | grep -q STOPPING || break; sleep 0.1; done
{_CTL} start {_WORKER}
"""
_FILL = """
set -- $(df -P -k /edx/var/log | tail -n 1)
cd /edx/var/log/tracking
dd if=/dev/zero of=tracking.log-20261101 bs=1024 count=$(($4 - $2 * 3 / 100)) 2>/dev/null
"""


def _shells(host: str, make: str, mend: str) -> tuple[Callable[[Scene], None], Callable[[Scene], None]]:
    return (lambda scene: scene.shell(host, make)), (lambda scene: scene.shell(host, mend))


def _fill_disk(scene: Scene) -> None:
    scene.need_separate("app2", "disk")
    scene.shell("app2", _FILL)


BREAKS_BY_NAME: dict[str, Break] = {
    "app-crash-loop": Break(
        "Studio on app2 dies 2 s after each start; supervisor restarts it for ever",
        *_shells("app2", _CRASH, _UNCRASH),
    ),
    "orphan-port": Break(
        "an orphan gunicorn holds port 8000 on app1; supervisor's own LMS can't bind it",
        *_shells("app1", _ORPHAN, _UNORPHAN),
    ),
    "worker-stopping": Break(
        "a worker on app1 was asked to stop in the middle of a day-long task: STOPPING",
        *_shells("app1", _STUCK, _UNSTUCK),
    ),
    "disk-full": Break(
        "the disk of app2 is 97 % full",
        _fill_disk,
        lambda scene: scene.shell("app2", "rm -f /edx/var/log/tracking/tracking.log-20261101"),
    ),
    "host-frozen": Break(
        "app2 takes connections and answers nothing, as a host that swaps or hangs",
        lambda scene: scene.signal_host("app2", signal.SIGSTOP),
        lambda scene: scene.signal_host("app2", signal.SIGCONT),
    ),
    "host-gone": Break(
        "the network cable of app2 is out",
        lambda scene: scene.plug("app2", False),
        lambda scene: scene.plug("app2", True),
    ),
    "memcached-down": Break(
        "memcached on data is stopped: heartbeats are 503",
        *_shells("data", '"$R/etc/init.d/memcached" stop', '"$R/etc/init.d/memcached" start'),
    ),
    "mysql-down": Break(
        "MySQL on data is stopped: heartbeats are 503",
        *_shells("data", '"$R/etc/init.d/mysql" stop', '"$R/etc/init.d/mysql" start'),
    ),
}
BREAKS: dict[str, str] = {name: what.description for name, what in BREAKS_BY_NAME.items()}


def _scene() -> tuple[StateDir, Scene]:
    state = StateDir(directory())
    return state, Scene(state.load(), state.path)


def _known(name: str) -> Break:
    try:
        return BREAKS_BY_NAME[name]
    except KeyError:
        raise DemoError(f"there is no failure named {name!r}", remedy=f"choose {', '.join(BREAKS)}") from None


def break_(name: str) -> None:
    """Inject one failure into this user's running demo. Raises `DemoError`."""
    what = _known(name)
    state, scene = _scene()
    if name in state.broken():
        raise DemoError(f"{name} is broken already", remedy=f"mend it with: edxconsole demo --mend {name}")
    state.set_broken([*state.broken(), name])
    try:
        what.make(scene)
    except DemoError:
        with contextlib.suppress(DemoError):
            what.mend(scene)
        state.set_broken([n for n in state.broken() if n != name])
        raise


def mend(name: str | None = None) -> list[str]:
    """End one injected failure, or all, the last first. Returns what was mended. Raises `DemoError`."""
    if name is not None:
        _known(name)
    state, scene = _scene()
    broken = state.broken()
    wanted = [n for n in reversed(broken) if name in (None, n)]
    if name is not None and not wanted:
        raise DemoError(f"{name} is not broken")
    for one in wanted:
        BREAKS_BY_NAME[one].mend(scene)
        broken.remove(one)
        state.set_broken(broken)
    return wanted
