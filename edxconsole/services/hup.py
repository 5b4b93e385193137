"""Reload by SIGHUP to a master process (gunicorn), and to nothing else.

Up to Ironwood lms.sh runs gunicorn without exec: a HUP to what supervisord supervises kills the
wrapper shell and orphans the master, which keeps the port (domain.md section 0, trap 1). So the
signal goes to the process that is the master, checked by pid, start time and argv in the same
host-side command that sends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edxconsole.cluster.listening import descends
from edxconsole.cluster.model import Process
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit
from edxconsole.errors import ActFailed, IdentityDrift, PermissionMissing, PreflightFailed
from edxconsole.services.base import ActOutcome, Permit, ServiceManager, Verb
from edxconsole.services.guard import check_identity, check_permit
from edxconsole.services.sudo import PASSWORD_NEEDED, rule
from edxconsole.services.supervisor import SupervisorManager
from edxconsole.transport.base import Result, Transport

TIMEOUT = 10.0
SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh", "busybox"})

GONE, DRIFTED, IS_SHELL, OTHER_ARGV, NOT_SENT = 65, 66, 67, 68, 69

# Arguments: pid, start (field 22 of stat), cksum of cmdline ("" to look only), user to become ("" none).
# All of stat and cmdline is readable by anyone; only the kill itself may need another user.
SCRIPT = r"""
pid=$1 want=$2 sum=$3 as=$4
stat=$(cat "/proc/$pid/stat" 2>/dev/null) || exit 65
set -f
set -- ${stat##*) }
[ "${20}" = "$want" ] || exit 66
first=$(tr '\000' '\n' <"/proc/$pid/cmdline" | head -n 1)
name=${first##*/}
case ${name#-} in sh|ash|bash|dash|ksh|zsh|busybox) exit 67;; esac
now=$(cksum <"/proc/$pid/cmdline")
if [ -z "$sum" ]; then echo "$now"; head -c 4096 "/proc/$pid/cmdline"; exit 0; fi
[ "$now" = "$sum" ] || exit 68
if [ -z "$as" ]; then kill -HUP "$pid" || exit 69; exit 0; fi
sudo -n -l -u "$as" kill -HUP "$pid" >/dev/null 2>&1 || exit 126
sudo -n -u "$as" kill -HUP "$pid" || exit 69
"""


def is_shell(argv: tuple[str, ...]) -> bool:
    """Whether a process is a shell, which a SIGHUP would kill."""
    return bool(argv) and argv[0].rpartition("/")[2].removeprefix("-") in SHELLS


def find_master(processes: Mapping[int, Process], unit: Unit, pattern: str) -> Process:
    """The one process to signal: the supervised process itself or the topmost below it that matches.

    Args:
        processes: of the host's snapshot.
        unit: whose process it must be, or descend from.
        pattern: Signature.master, a regular expression searched in the space-joined argv.

    Raises:
        PreflightFailed: the unit does not run, none or more than one process qualifies.
    """
    if unit.identity.pid is None:
        raise PreflightFailed(f"{unit.name} is not running", remedy="start it instead")
    matching = {
        pid: p
        for pid, p in processes.items()
        if re.search(pattern, " ".join(p.argv))
        and not is_shell(p.argv)
        and descends(pid, unit.identity.pid, processes)
    }
    tops = [p for p in matching.values() if p.ppid not in matching]
    if len(tops) != 1:
        raise PreflightFailed(
            f"{len(tops) or 'no'} process{'es' if len(tops) != 1 else ''} of {unit.name} could be its master",
            remedy="restart it instead",
        )
    return tops[0]


def command(master: Process) -> str:
    """What hup_master will do, as shown to the operator."""
    return f"kill -HUP {master.pid}, after checking that it still is {clean_line(' '.join(master.argv), 80)}"


async def hup_master(
    transport: Transport,
    manager: ServiceManager,
    name: str,
    master: Process,
    pattern: str,
    *,
    permit: Permit,
    login: str = "",
) -> ActOutcome:
    """Send SIGHUP to a unit's master process; returns when it was sent, not when it was obeyed.

    By supervisord's signalProcess where the supervised process is the master and supervisord
    knows how (3.2.0), else by kill in a command that re-checks the process on the host.

    Args:
        manager: of the unit, to read its identity again right before.
        master: from find_master on a fresh snapshot.
        login: the login user; when it is not the master's, the kill goes through sudo -n.

    Raises:
        NotConfirmed, IdentityDrift: the permit is for something else, or the process changed.
        PermissionMissing: neither supervisord nor sudo lets us; names the rule.
        ActFailed: the signal could not be sent.
    """
    check_permit(permit, host=transport.host_name, unit=name, verb=Verb.RELOAD)
    unit = await manager.observe(name)
    check_identity(permit, unit.identity)
    checksum = await _look(transport, master, pattern)
    if (
        isinstance(manager, SupervisorManager)
        and unit.identity.pid == master.pid
        and await manager.can_signal()
    ):
        await manager.signal(name, "HUP", permit=permit)
        return permit.outcome(f"SIGHUP to {master.pid} by supervisord")
    await _kill(transport, master, checksum, login, permit=permit)
    return permit.outcome(f"SIGHUP to {master.pid} by kill")


async def _look(transport: Transport, master: Process, pattern: str) -> str:
    """The checksum of the master's whole argv, after it was matched against the pattern."""
    result = await _run(transport, master, "", "")
    _raise_for(result, transport.host_name, master)
    checksum, _, cmdline = result.stdout.partition(b"\n")
    argv = cmdline.decode("utf-8", "replace").replace("\0", " ")
    if not re.search(pattern, argv):
        raise IdentityDrift(
            f"pid {master.pid} is not the master any more", host=transport.host_name, remedy="look again"
        )
    return checksum.decode("ascii", "replace")


async def _kill(transport: Transport, master: Process, checksum: str, login: str, *, permit: Permit) -> None:
    become = "" if login in ("root", master.user, "") else master.user
    result = await _run(transport, master, checksum, become)
    if result.exit_status == PASSWORD_NEEDED:
        raise PermissionMissing(
            f"{login} may not signal processes of {master.user}",
            host=permit.host,
            remedy=rule(login, "/bin/kill -HUP *", user=master.user),
        )
    _raise_for(result, permit.host, master)


async def _run(transport: Transport, master: Process, checksum: str, become: str) -> Result:
    argv = ["sh", "-c", SCRIPT, "edxconsole-hup", str(master.pid), str(master.start), checksum, become]
    return await transport.run(argv, timeout=TIMEOUT)


def _raise_for(result: Result, host: str, master: Process) -> None:
    if result.exit_status == 0:
        return
    drift = {
        GONE: "is gone",
        DRIFTED: "is another process now",
        IS_SHELL: "is a shell, which a HUP would kill",
        OTHER_ARGV: "runs something else now",
    }
    if result.exit_status in drift:
        raise IdentityDrift(f"pid {master.pid} {drift[result.exit_status]}", host=host, remedy="look again")
    said = clean_line(result.stderr.decode("utf-8", "replace")) or f"exit status {result.exit_status}"
    raise ActFailed(f"SIGHUP to {master.pid} could not be sent ({said})", host=host)
