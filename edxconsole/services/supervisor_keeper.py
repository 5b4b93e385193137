"""Keeps a restart from being left half done when the console dies between stop and start.

supervisord forgets the second call with its caller (services.md section 0.2: every client left
the program STOPPED). So before the stop a small program is started on the host, which waits on
its stdin. Told "done" it ends; when its stdin ends instead, because the console died, was
cancelled or lost its connection, it lets go of SSH and starts the program once it has stopped,
within the deadline that was confirmed, and says so in the host's syslog.
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from edxconsole.errors import TransportError
from edxconsole.services.base import Permit
from edxconsole.services.supervisor_client import SupervisorClient
from edxconsole.services.supervisor_program import STOPPED_STATES, Program
from edxconsole.transport.base import Process, TcpEndpoint, Transport

READY_WITHIN = 10.0

FIND_PYTHON = (
    "for p in python3 python python2 /edx/app/supervisor/venvs/supervisor/bin/python; do "
    'command -v "$p" >/dev/null 2>&1 && exec "$p" -c "$0"; done; exit 127'
)

# Python 2.7 and 3. The first line of stdin is the job; credentials are in it, never in argv.
SCRIPT = r"""
import json, os, socket, sys, syslog, time
try:
    from http.client import HTTPConnection
    from xmlrpc.client import ServerProxy, Transport
except ImportError:
    from httplib import HTTPConnection
    from xmlrpclib import ServerProxy, Transport

job = json.loads(sys.stdin.readline())
end = time.time() + job["deadline"]

class Connection(HTTPConnection):
    def connect(self):
        if not job["unix"]:
            return HTTPConnection.connect(self)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(job["unix"])

class Way(Transport):
    def make_connection(self, host):
        self._extra_headers = self.get_host_info(host)[1]
        return Connection(job["host"], job["port"], timeout=5)

supervisor = ServerProxy(job["url"], Way()).supervisor

def look():
    # True when there is nothing left to do.
    info = supervisor.getProcessInfo(job["name"])
    if info["statename"] in job["stopped"]:
        supervisor.startProcess(job["name"], False)
        syslog.openlog("edxconsole", 0, syslog.LOG_AUTHPRIV)
        syslog.syslog("started %s, whose restart its console left half done" % job["name"])
        return True
    if info["statename"] in ("RUNNING", "STARTING"):
        return info["pid"] != job["pid"] or time.time() > alone + 10
    return False

supervisor.getProcessInfo(job["name"])
sys.stdout.write("ready\n")
sys.stdout.flush()
if sys.stdin.readline().strip() == "done":
    sys.exit(0)
if os.fork():
    os._exit(0)
os.setsid()
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
alone = time.time()
while time.time() < end:
    try:
        if look():
            break
    except Exception:
        pass
    time.sleep(0.5)
"""


class Keeper:
    """A running keeper on the host. Exactly one of `dismiss` and `let_go` ends it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def dismiss(self) -> None:
        """The act came to an end that is known: nothing is left to do."""
        try:
            self._process.stdin.write(b"done\n")
            await self._process.stdin.drain()
        except (TransportError, OSError):
            return
        finally:
            await self._end()

    async def let_go(self) -> None:
        """The act is given up in the middle: the keeper finishes it."""
        try:
            self._process.stdin.write_eof()
        except (TransportError, OSError):
            return
        finally:
            await self._end()

    async def _end(self) -> None:
        """Wait until the channel's own process has ended (a keeper on its own has forked by then)."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self._process.wait()
        except (TimeoutError, TransportError):
            return
        finally:
            await self._process.close()


async def begin(
    transport: Transport, client: SupervisorClient, program: Program, deadline: float, *, permit: Permit
) -> Keeper | str:
    """Start a keeper for the restart that `permit` allows; the reason, in a clause, when it can't be.

    Not where supervisord is spoken to by a relay: host, probe and relay use up the two sessions
    that the console allows itself on a host.
    """
    route = client.route
    if route is None or route.rung.endswith("relay"):
        return "supervisord is reached through a relay"
    process: Process | None = None
    try:
        async with asyncio.timeout(READY_WITHIN):
            process = await transport.process(["sh", "-c", FIND_PYTHON, SCRIPT])
            process.stdin.write(_job(client, program, deadline, permit).encode() + b"\n")
            await process.stdin.drain()
            if (await process.stdout.read(64)).startswith(b"ready"):
                return Keeper(process)
    except (TransportError, OSError, TimeoutError):
        pass  # no keeper, which is told below
    if process is not None:
        await process.close()
    return "no program to finish it could be started on the host"


def _job(client: SupervisorClient, program: Program, deadline: float, permit: Permit) -> str:
    assert client.route is not None
    endpoint, auth = client.route.endpoint, client.credentials
    tcp = endpoint if isinstance(endpoint, TcpEndpoint) else TcpEndpoint("localhost", 80)
    login = f"{quote(auth.username, safe='')}:{quote(auth.password, safe='')}@" if auth else ""
    return json.dumps(
        {
            "unix": "" if isinstance(endpoint, TcpEndpoint) else endpoint.path,
            "host": tcp.host,
            "port": tcp.port,
            "url": f"http://{login}localhost/RPC2",
            "name": permit.unit,
            "pid": program.pid,
            "stopped": sorted(STOPPED_STATES),
            "deadline": deadline,
        }
    )
