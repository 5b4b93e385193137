"""The keeper itself: a small program for the host's own Python, 2.7 or 3, see supervisor_keeper.py.

The first line of its stdin is the job, a JSON object; credentials are in it, never in argv:
- `url`, `unix`, `host`, `port`: where supervisord is, as the host sees it;
- `relay`: the command that reaches it instead, [] when it is reached directly;
- `name`, `pid`: the program, and the process that shall not run any more; `stopped`: its states then;
- `deadline`: seconds after which nothing is done any more;
- `leased`: it works by itself from the beginning, as one that does not see its console die;
- `patience`: seconds a program is stopped before it is called forgotten;
- `untouched`: seconds in which the stop must have begun, else there was none.
"""

from __future__ import annotations

FIND_PYTHON = (
    "for p in python3 python python2 /edx/app/supervisor/venvs/supervisor/bin/python; do "
    'command -v "$p" >/dev/null 2>&1 && exec "$p" -c "$0" "$@"; done; exit 127'
)

PROGRAM = r"""
import json, os, socket, subprocess, sys, syslog, time
try:
    from http.client import HTTPConnection
    from xmlrpc.client import ServerProxy, Transport
except ImportError:
    from httplib import HTTPConnection
    from xmlrpclib import ServerProxy, Transport

job = json.loads(sys.stdin.readline())
end = time.time() + job["deadline"]

def relayed():
    # A socket to supervisord through the relay, once that says on its stdout that it begins.
    ours, its = socket.socketpair()
    null = os.open(os.devnull, os.O_RDWR)
    subprocess.Popen([str(word) for word in job["relay"]], stdin=its, stdout=its, stderr=null, close_fds=True)
    os.close(null)
    its.close()
    ours.settimeout(5)
    said = b""
    while not said.endswith(b"EDX-RELAY begins\n"):
        byte = ours.recv(1)
        if not byte:
            raise IOError("the relay ended")
        said += byte
    return ours

class Connection(HTTPConnection):
    def connect(self):
        if job["relay"]:
            self.sock = relayed()
        elif job["unix"]:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(5)
            self.sock.connect(job["unix"])
        else:
            HTTPConnection.connect(self)

class Way(Transport):
    kept = None

    def make_connection(self, host):
        self._extra_headers = self.get_host_info(host)[1]
        if self.kept is None:
            self.kept = Connection(job["host"], job["port"], timeout=5)
        return self.kept

    def close(self):
        if self.kept is not None:
            self.kept.close()
            self.kept = None

way = Way()
supervisor = ServerProxy(job["url"], way).supervisor
begun = time.time()
stopped = None

def look():
    # True when there is nothing left to do.
    global stopped
    info = supervisor.getProcessInfo(job["name"])
    if info["statename"] in job["stopped"]:
        stopped = stopped or time.time()
        if time.time() - stopped < job["patience"]:
            return False
        supervisor.startProcess(job["name"], False)
        syslog.openlog("edxconsole", 0, syslog.LOG_AUTHPRIV)
        syslog.syslog("started %s, whose restart its console left half done" % job["name"])
        return True
    stopped = None
    if info["statename"] in ("RUNNING", "STARTING"):
        return info["pid"] != job["pid"] or time.time() > begun + job["untouched"]
    return False

def alone():
    # In the background, out of the session that started it.
    child = os.fork()
    if child:
        return child
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    return 0

def ready(pid):
    sys.stdout.write("ready %d\n" % pid)
    sys.stdout.flush()

supervisor.getProcessInfo(job["name"])
if job["leased"]:
    way.close()
    child = alone()
    if child:
        ready(child)
        os._exit(0)
else:
    ready(os.getpid())
    if sys.stdin.readline().strip() == "done":
        sys.exit(0)
    if alone():
        os._exit(0)
    begun = time.time()
while time.time() < end:
    try:
        if look():
            break
    except Exception:
        way.close()
    time.sleep(0.5)
"""
