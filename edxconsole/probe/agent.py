# edxconsole probe: what runs on a watched host. Streamed over SSH into the host's own Python and
# never written to its disk. Standard library only; CPython 2.7 and 3.4 to 3.14; Linux.
# launcher.py sends this file, agent_supervisor.py and agent_files.py as one program ending in main().
#
# It only reads. Frames go out on fd 1 as JSON lines of at most 64 KiB, commands come in on fd 0;
# the formats are in frames.py and decode.py of this package. It ends at EOF on fd 0, 30 s after
# the last command, or when fd 1 is closed. One thread, one epoll loop, nothing in it may block.
import base64
import errno
import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import stat as st_
import struct
import sys
import time

PROTOCOL = 1
MAX_FRAME = 64 * 1024
ROOM = 192 * 1024          # bytes waiting on a full pipe above which nothing new is read
DEAD_AFTER = 30.0          # seconds without a command
PAGE_KB = os.sysconf('SC_PAGE_SIZE') // 1024
RO = os.O_RDONLY | getattr(os, 'O_CLOEXEC', 0) | os.O_NONBLOCK | os.O_NOCTTY
AF_NETLINK = getattr(socket, 'AF_NETLINK', 16)
ERRORS = (OSError, IOError, socket.error, select.error)
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.EINPROGRESS)

# 2.7 has no monotonic clock; times(2) returns one of 10 ms resolution
mono = getattr(time, 'monotonic', None) or (lambda: os.times()[4])

try:
    pread = os.pread
except AttributeError:
    def pread(fd, n, off):
        os.lseek(fd, off, 0)
        return os.read(fd, n)


def code_of(e):
    """errno of an exception of any of the four classes 2.7 has for it."""
    return getattr(e, 'errno', None) or (e.args[0] if e.args and isinstance(e.args[0], int) else 0)


def name_of(code):
    return errno.errorcode.get(code, 'E%s' % code)


def txt(b):
    return b.decode('utf-8', 'replace')


def slurp(path, n=65536):
    """Up to n bytes of a small file, b'' when it can't be read."""
    try:
        fd = os.open(path, RO)
    except ERRORS:
        return b''
    try:
        return os.read(fd, n)
    except ERRORS:
        return b''
    finally:
        os.close(fd)


def slurp_all(path, limit=8 << 20):
    out = []
    try:
        fd = os.open(path, RO)
    except ERRORS:
        return b''
    try:
        while limit > 0:
            b = os.read(fd, 262144)
            if not b:
                break
            out.append(b)
            limit -= len(b)
    except ERRORS:
        pass
    finally:
        os.close(fd)
    return b''.join(out)


# Secrets in argv: masked here, so that they never leave the host.

MASK = u'***'
SECRET = (r'(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|private|fernet|signing|license|'
          r'credential|cookie|requirepass|(?:basic|http|master|django)[-_]?auth|auth[-_]?key|access[-_]?key|'
          r'_seed|(?:^|[-_.])key)')
SUSPECT = re.compile(r'://|pass|pwd|secret|token|key|private|fernet|signing|license|credential|cookie|auth|'
                     r'(?:^|[\s/\0])(?:mysql|maria|mongo|redis-cli|rabbitmqctl|curl|ldap|supervisorctl|sshpass)|'
                     r'\0-[puwa]', re.I)
URL = re.compile(r'://[^\s/@\'"]*(?::[^\s\'"]*)?@')
ASSIGN = re.compile(r'([\w.-]*' + SECRET + r'[\w.-]*)(\s*=\s*)("[^"]*"|\'[^\']*\'|[^\s"\',;&]+)', re.I)
HARMLESS = re.compile(r'(?:file|path|prefix|function|routing[-_]key|keyserver|pass[-_]?through)', re.I)
QUOTED = re.compile(r'(["\'][^"\']*' + SECRET + r'[^"\']*["\']\s*:\s*)(["\'])(?:(?!\2).)*\2', re.I)
HEADER = re.compile(r'((?:authorization|x-[\w-]*(?:key|token))\s*:\s*(?:(?:bearer|basic|token|digest)\s+)?)[^\s"\']+', re.I)
OPTION = re.compile(r'^--?[\w.-]*' + SECRET + r'[\w.-]*$', re.I)
INLINE = re.compile(r'(\b(?:mysql|maria|mongo)\S*\s(?:.*?\s)?-p)([^\s-]\S*)')
SPACED = re.compile(r'(\s--?[\w.-]*(?:password|passwd|passphrase|secret|token|api-key)\s+)(?!-)("[^"]*"|\'[^\']*\'|\S+)', re.I)
SHORT = re.compile(r'(\b(?:mongo|sshpass|supervisorctl|curl|ldap|redis-cli)\S*\s(?:.*?\s)?-[pwa]\s+)(\S+)')
P_TOOLS = ('mysql', 'maria', 'mongo', 'sshpass', 'supervisorctl')


def mask_assignment(m):
    return m.group(0) if HARMLESS.search(m.group(1)) else m.group(1) + m.group(2) + MASK


def is_secret_option(a):
    return OPTION.match(a) and not HARMLESS.search(a)


def mask_text(a):
    a = URL.sub(u'://' + MASK + u'@', a)
    a = HEADER.sub(u'\\g<1>' + MASK, a)
    a = QUOTED.sub(u'\\g<1>\\g<2>' + MASK + u'\\g<2>', a)
    a = ASSIGN.sub(mask_assignment, a)
    if u' ' in a:
        a = INLINE.sub(u'\\g<1>' + MASK, a)
        a = SPACED.sub(u'\\g<1>' + MASK, a)
        a = SHORT.sub(u'\\g<1>' + MASK, a)
    return a


def mask_argv(args):
    """A copy of the argument list (text) without passwords, tokens and URL userinfo."""
    if not args or not SUSPECT.search(u'\0' + u'\0'.join(args)):
        return args
    tool = args[0].rsplit(u'/', 1)[-1]
    named = u'-u' in args or u'--username' in args
    out = []
    hide = 0
    for i, a in enumerate(args):
        if hide:
            hide -= 1
            if hide == 0 and not is_secret_option(a):
                out.append(MASK)
                continue
        if i and is_secret_option(a):
            hide = 1
        elif a == u'-p' and (tool.startswith(P_TOOLS) or named and not u''.join(args[i + 1:i + 2]).isdigit()):
            hide = 1
        elif a in (u'-w', u'-a') and tool.startswith((u'ldap', u'redis-cli')):
            hide = 1
        elif a in (u'add_user', u'change_password', u'authenticate_user'):
            hide = 2
        elif a.startswith(u'-p') and len(a) > 2 and tool.startswith((u'mysql', u'maria', u'mongo', u'sshpass')):
            a = u'-p' + MASK
        elif i and args[i - 1] in (u'-u', u'--user', u'-U') and u':' in a:
            a = a.split(u':', 1)[0] + u':' + MASK
        elif a.startswith((u'-u', u'--user=')) and u':' in a and tool == u'curl':
            a = a.split(u':', 1)[0] + u':' + MASK
        out.append(mask_text(a))
    return out


def bound_argv(args):
    """At most about 4 KiB: long arguments cut, the middle of very long lists left out."""
    args = [a if len(a) <= 600 else a[:600] + u'...' for a in args]
    total = sum(len(a) for a in args)
    if total <= 4096 and len(args) <= 256:
        return args
    head, size = [], 0
    for a in args[:120]:
        size += len(a)
        if size > 2600:
            break
        head.append(a)
    tail, size = [], 0
    for a in reversed(args[max(len(head), len(args) - 100):]):
        size += len(a)
        if size > 1200:
            break
        tail.append(a)
    return head + [u'...'] + tail[::-1]


class Loop(object):
    """epoll and named timers."""

    def __init__(self):
        self.ep = select.epoll()
        self.on = {}
        self.timers = {}
        self.ending = None
        self.oops = None

    def add(self, fd, events, fn):
        self.ep.register(fd, events)
        self.on[fd] = fn

    def modify(self, fd, events):
        self.ep.modify(fd, events)

    def remove(self, fd):
        if self.on.pop(fd, None) is not None:
            try:
                self.ep.unregister(fd)
            except ERRORS:
                pass

    def at(self, key, due, fn):
        """Call fn once at monotonic time due; replaces the timer of that key."""
        self.timers[key] = (due, fn)

    def sooner(self, key, due, fn):
        old = self.timers.get(key)
        if old is None or due < old[0]:
            self.timers[key] = (due, fn)

    def turn(self):
        due = min(t[0] for t in self.timers.values())
        wait = due - mono()
        try:
            events = self.ep.poll(min(max(wait, 0.0), 5.0))
        except ERRORS as e:
            if code_of(e) != errno.EINTR:
                raise
            events = []
        for fd, ev in events:
            fn = self.on.get(fd)
            if fn is not None:
                self.call(fn, ev)
        now = mono()
        for key, (due, fn) in list(self.timers.items()):
            if due <= now and self.timers.get(key, (0, None))[1] is fn:
                del self.timers[key]
                self.call(fn, now)

    def call(self, fn, arg):
        """One part that fails must not end the others: it is reported, and runs again next time."""
        try:
            fn(arg)
        except Exception as e:
            self.oops(e)


class Out(object):
    """Frames waiting to be written to fd 1. Never blocks; callers ask `room()` before they read more."""

    def __init__(self, loop, fd):
        self.loop = loop
        self.fd = fd
        self.n = 0
        self.early = []        # notes of before hello, which must be the first frame
        self.parts = []
        self.size = 0
        self.waiting = False
        self.enc = json.JSONEncoder(separators=(',', ':')).encode

    def room(self):
        return self.size < ROOM

    def frame(self, kind, body, rows=None):
        """Queue one frame; if it is too big, halve the list body[rows] into further frames.

        All but the last of those carry more=1, and only the first keeps `full`.
        """
        body['k'] = kind
        body['n'] = self.n
        body['t'] = round(time.time(), 4)
        line = self.enc(body).encode('ascii') + b'\n'
        if len(line) > MAX_FRAME:
            items = body.get(rows) if rows else None
            if not items or len(items) < 2:
                return self.too_big(kind, body)
            cut = len(items) // 2
            rest = dict(body)
            first = dict(body)
            first[rows] = items[:cut]
            first['more'] = 1
            rest[rows] = items[cut:]
            if 'full' in rest:
                rest['full'] = 0
            for k in ('upd', 'gone'):
                if k in rest:
                    rest[k] = []
            self.frame(kind, first, rows)
            return self.frame(kind, rest, rows)
        self.n += 1
        self.parts.append(line)
        self.size += len(line)
        return True

    def too_big(self, kind, body):
        if kind == 'reply':
            return self.frame('reply', {'id': body['id'], 'error': u'EMSGSIZE answer too big', 'value': None})
        return self.frame('note', {'what': kind, 'path': u'', 'errno': errno.EMSGSIZE, 'text': u'too big to send'})

    def note(self, what, path, code, text=None):
        """Say what can't be seen; an empty text takes it back."""
        body = {'what': what, 'path': path, 'errno': code,
                'text': u'%s' % os.strerror(code) if text is None else text}
        if self.n:
            self.frame('note', body)
        else:
            self.early.append(body)

    def hello(self, body):
        self.frame('hello', body)
        for note in self.early:
            self.frame('note', note)

    def flush(self):
        while self.parts:
            data = b''.join(self.parts)
            try:
                done = os.write(self.fd, data[:1 << 20])
            except ERRORS as e:
                if code_of(e) in AGAIN:
                    self.parts = [data]
                    self.wait(True)
                    return
                self.loop.ending = 'nobody reads'
                return
            self.parts = [data[done:]] if done < len(data) else []
            self.size = len(data) - done
        self.wait(False)

    def wait(self, on):
        if on == self.waiting:
            return
        self.waiting = on
        if on:
            self.loop.add(self.fd, select.EPOLLOUT, lambda ev: None)
        else:
            self.loop.remove(self.fd)


class Child(object):
    """Something that may hang for ever (a dead mount, NSS) done in a forked child with a deadline."""

    reap = []

    def __init__(self, loop, work, done, timeout):
        self.loop = loop
        self.done = done
        self.buf = b''
        self.fd, w = os.pipe()
        try:
            self.pid = os.fork()
        except ERRORS:
            os.close(self.fd)
            os.close(w)
            return done(None)
        if self.pid == 0:
            try:
                for fd in (0, 1, 2):
                    os.close(fd)
                os.write(w, json.dumps(work()).encode('ascii')[:60000])
            finally:
                os._exit(0)
        os.close(w)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_NONBLOCK)
        loop.add(self.fd, select.EPOLLIN, self.readable)
        loop.at(self, mono() + timeout, self.late)

    def readable(self, ev):
        try:
            b = os.read(self.fd, 65536)
        except ERRORS as e:
            if code_of(e) in AGAIN:
                return
            b = b''
        if b:
            self.buf += b
            return
        self.end()
        try:
            value = json.loads(self.buf.decode('ascii'))
        except ValueError:
            value = None
        self.done(value)

    def late(self, now):
        self.end()
        self.done(None)

    def end(self):
        self.loop.timers.pop(self, None)
        self.loop.remove(self.fd)
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ERRORS:
            pass
        Child.reap.append(self.pid)
        Child.collect()

    @staticmethod
    def collect():
        left = []
        for pid in Child.reap:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    left.append(pid)
            except ERRORS:
                pass
        Child.reap = left


def find_pidfd():
    """A function pid -> pidfd, or None where the kernel (before 5.3) or Python can't."""
    fn = getattr(os, 'pidfd_open', None)
    if fn is None:
        try:
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)

            def fn(pid):
                fd = libc.syscall(434, pid, 0)
                if fd < 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))
                return fd
        except (ImportError, OSError, AttributeError):
            return None
    try:
        fd = fn(os.getpid())
        flags = fcntl.fcntl(fd, fcntl.F_GETFD)
        fcntl.fcntl(fd, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        os.close(fd)
    except (OSError, ValueError):
        return None
    return fn


# fields of a process entry
FS, FG, SCHED, THREADS, CPU, RSS, STATE, START, PPID, COMM, UID, ARGV, BORN, INNER = range(14)
PF_KTHREAD = 0x00200000


class Procs(object):
    """The process table by kept fds of /proc/PID/stat, gated by schedstat and the fork counter.

    Kernel threads are left out. A pid is reported again as new when it ran exec(), changed its
    uid or its parent; the same pid with another start time is gone and new.
    """

    def __init__(self, out):
        self.out = out
        self.p = {}
        self.kernel = set()
        self.nfd = 0
        self.tick = 0
        self.forks = None
        self.stat = os.open('/proc/stat', RO)
        self.stat_text = b''
        self.maxfd = self.raise_limit()
        self.orphans = set()
        self.full = True
        try:
            os.close(os.open('/proc/1/stat', RO))
        except ERRORS as e:
            out.note('processes', u'/proc', code_of(e), u'processes of other users are hidden (hidepid)')

    @staticmethod
    def raise_limit():
        try:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            want = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
            if soft < want:
                resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
                soft = want
            return soft - 256
        except (ValueError, OSError):
            return 256

    def read_stat(self, pid, e):
        if e is not None and e[FS] >= 0:
            s = pread(e[FS], 1024, 0)
        else:
            s = slurp('/proc/%d/stat' % pid, 1024)
        if not s:
            raise OSError(errno.ESRCH, 'gone')
        return s

    def drop(self, pid):
        e = self.p.pop(pid)
        for fd in e[:2]:
            if fd >= 0:
                os.close(fd)
                self.nfd -= 1

    def keep(self, path):
        if self.nfd >= self.maxfd:
            return -1
        try:
            fd = os.open(path, RO)
        except ERRORS:
            return -1
        self.nfd += 1
        return fd

    @staticmethod
    def identity(pid):
        """(effective uid, masked argv, 1 if in a pid namespace below ours: a container) of a process."""
        d = '/proc/%d' % pid
        status = slurp(d + '/status', 4096)
        i = status.find(b'\nUid:')
        try:
            uid = int(status[i + 5:i + 100].split(None, 2)[1]) if i >= 0 else os.stat(d).st_uid
        except ERRORS + (ValueError, IndexError):
            uid = -1
        i = status.find(b'\nNSpid:')
        inner = 1 if i >= 0 and len(status[i + 7:status.find(b'\n', i + 1)].split()) > 1 else 0
        raw = slurp(d + '/cmdline', 32768).rstrip(b'\0')
        args = [txt(a) for a in raw.split(b'\0')] if raw else []
        return uid, bound_argv(mask_argv(args)), inner

    def add(self, pid, new):
        d = '/proc/%d' % pid
        fs = self.keep(d + '/stat')
        try:
            s = pread(fs, 1024, 0) if fs >= 0 else slurp(d + '/stat', 1024)
        except ERRORS:
            s = b''
        r = s.rfind(b')')
        f = s[r + 2:].split(None, 22)
        if len(f) < 22 or int(f[6]) & PF_KTHREAD:
            if len(f) >= 22:
                self.kernel.add(pid)
            if fs >= 0:
                os.close(fs)
                self.nfd -= 1
            return
        uid, argv, inner = self.identity(pid)
        e = [fs, self.keep(d + '/schedstat'), b'', int(f[17]), int(f[11]) + int(f[12]), int(f[21]), f[0],
             int(f[19]), int(f[1]), s[s.find(b'(') + 1:r], uid, argv, mono(), inner]
        self.p[pid] = e
        new.append(pid)

    def row(self, pid):
        e = self.p[pid]
        return [pid, e[PPID], e[START], e[UID], txt(e[COMM]), txt(e[STATE]), e[CPU], e[RSS] * PAGE_KB,
                e[THREADS], e[ARGV], e[INNER]]

    def look(self, pid, e, again):
        """Re-read one process. 0 nothing changed, 1 counters did, 2 it is another program; OSError gone."""
        if e[FG] >= 0 and e[THREADS] == 1 and not again:
            g = pread(e[FG], 64, 0)
            if g == e[SCHED]:
                return 0
            e[SCHED] = g
        s = self.read_stat(pid, e)
        r = s.rfind(b')')
        f = s[r + 2:].split(None, 22)
        if int(f[19]) != e[START]:
            raise OSError(errno.ESRCH, 'reused')
        cpu = int(f[11]) + int(f[12])
        rss = int(f[21])
        comm = s[s.find(b'(') + 1:r]
        ppid = int(f[1])
        threads = int(f[17])
        what = 0
        if comm != e[COMM] or ppid != e[PPID]:
            what = 2
            again = True
        if (again or e[BORN] > self.young) and f[0] != b'Z':
            uid, argv, _ = self.identity(pid)
            if argv and (argv != e[ARGV] or uid != e[UID]):
                e[ARGV] = argv
                e[UID] = uid
                what = 2
        if cpu != e[CPU] or f[0] != e[STATE] or abs(rss - e[RSS]) > 64 or threads != e[THREADS]:
            what = what or 1
            e[CPU] = cpu
            e[RSS] = rss
            e[STATE] = f[0]
        e[COMM] = comm
        e[PPID] = ppid
        e[THREADS] = threads
        return what

    def sample(self):
        """(pids new or re-identified, pids with new counters, pids gone) since the last sample."""
        new, upd, gone = [], [], []
        self.tick += 1
        now = mono()
        self.young = now - 5.0
        turn = self.tick % 30
        for pid, e in list(self.p.items()):
            try:
                what = self.look(pid, e, pid % 30 == turn or e[PPID] in self.orphans)
            except ERRORS:
                gone.append(pid)
                continue
            if what == 2:
                new.append(pid)
            elif what == 1:
                upd.append(pid)
        for pid in gone:
            self.drop(pid)
        self.orphans = set(gone)
        self.stat_text = pread(self.stat, 262144, 0)
        i = self.stat_text.find(b'\nprocesses ')
        forks = self.stat_text[i + 11:self.stat_text.find(b'\n', i + 1)]
        if forks != self.forks or turn == 0:
            self.forks = forks
            names = [int(n) for n in os.listdir('/proc') if n[0] in '123456789']
            self.kernel.intersection_update(names if turn else ())
            for pid in names:
                if pid not in self.p and pid not in self.kernel:
                    self.add(pid, new)
        return new, upd, gone

    def send(self, new, upd, gone):
        if not (new or upd or gone or self.full):
            return
        if self.full:
            new, upd, gone = sorted(self.p), [], []
        body = {'full': 1 if self.full else 0, 'new': [self.row(p) for p in new], 'gone': gone,
                'upd': [[p, txt(self.p[p][STATE]), self.p[p][CPU], self.p[p][RSS] * PAGE_KB, self.p[p][THREADS]]
                        for p in upd]}
        for k in ('gone', 'upd'):
            while len(body[k]) > 1000:
                self.out.frame('procs', {'full': 0, 'new': [], 'gone': [], 'upd': [], k: body[k][:1000]})
                body[k] = body[k][1000:]
        self.out.frame('procs', body, 'new')
        self.full = False

    def exited(self, pid):
        """A pidfd says this one ended: tell at once, as gone or as a zombie."""
        e = self.p.get(pid)
        if e is None:
            return
        try:
            if self.look(pid, e, False) and not self.full:
                self.send([], [pid], [])
        except ERRORS:
            self.drop(pid)
            self.orphans.add(pid)
            if not self.full:
                self.send([], [], [pid])


class Exits(object):
    """pidfds of the processes that matter: supervisord, its children, daemons, owners of listeners."""

    LIMIT = 512

    def __init__(self, loop, procs, fn, ended):
        self.loop = loop
        self.procs = procs
        self.fn = fn
        self.ended = ended
        self.fds = {}

    def watch(self, pid):
        e = self.procs.p.get(pid)
        if e is None or pid in self.fds or len(self.fds) >= self.LIMIT or e[STATE] == b'Z':
            return
        if self.fn is None:
            self.fds[pid] = -1
            return
        try:
            fd = self.fn(pid)
        except ERRORS:
            return
        self.fds[pid] = fd
        self.loop.add(fd, select.EPOLLIN, lambda ev: self.fire(pid))

    def forget(self, pid):
        fd = self.fds.pop(pid, None)
        if fd is not None and fd >= 0:
            self.loop.remove(fd)
            os.close(fd)

    def fire(self, pid):
        self.forget(pid)
        self.ended(pid)

    def poll(self):
        """Without pidfd: look at the watched processes one by one."""
        for pid in list(self.fds):
            e = self.procs.p.get(pid)
            try:
                dead = e is None or self.procs.read_stat(pid, e).split(b')')[-1][1:2] in b'ZX'
            except ERRORS:
                dead = True
            if dead:
                self.fire(pid)


LISTEN = 1 << 10
ESTABLISHED = 1 << 1


class Netlink(object):
    """TCP and UNIX sockets by NETLINK_SOCK_DIAG: unprivileged, and 140 times cheaper than /proc/net/tcp."""

    def __init__(self):
        self.s = socket.socket(AF_NETLINK, socket.SOCK_RAW, 4)
        self.s.settimeout(1.0)
        self.s.bind((0, 0))

    def dump(self, request):
        self.s.send(struct.pack('=IHHII', 16 + len(request), 20, 0x301, 1, 0) + request)
        while 1:
            d = self.s.recv(262144)
            o = 0
            while o + 16 <= len(d):
                ln, ty = struct.unpack_from('=IH', d, o)
                if ty == 3:
                    return
                if ty == 2 or ln < 16:
                    raise OSError(-struct.unpack_from('=i', d, o + 16)[0], 'netlink')
                yield d[o + 16:o + ln]
                o += (ln + 3) & ~3

    def tcp(self, states):
        """Lists of [family, src, sport, dst, dport, uid, inode, cgroup id]."""
        res = []
        for fam in (2, 10):
            for m in self.dump(struct.pack('=BBBxI', fam, 6, 0, states) + b'\0' * 48):
                sport, dport = struct.unpack_from('>HH', m, 4)
                uid, inode = struct.unpack_from('=II', m, 64)
                cgroup = struct.unpack('=Q', attr(m[72:], 21) or b'\0' * 8)[0]
                n = 4 if fam == 2 else 16
                res.append([fam, m[8:8 + n], sport, m[24:24 + n], dport, uid, inode, cgroup])
        return res

    def unix(self):
        """(path, inode) of listening UNIX sockets that have a path."""
        res = []
        for m in self.dump(struct.pack('=BBHIIIII', 1, 0, 0, LISTEN, 0, 1, 0, 0)):
            name = attr(m[16:], 0) or b''
            if name[:1] == b'/':
                res.append((name.rstrip(b'\0'), struct.unpack_from('=I', m, 4)[0]))
        return res


def attr(data, kind):
    o = 0
    while o + 4 <= len(data):
        ln, ty = struct.unpack_from('=HH', data, o)
        if ln < 4:
            return None
        if ty & 0x3fff == kind:
            return data[o + 4:o + ln]
        o += (ln + 3) & ~3
    return None


def proc_tcp(state):
    """The same as Netlink.tcp from /proc/net/tcp and tcp6, without cgroup ids."""
    res = []
    for path, fam in (('/proc/net/tcp', 2), ('/proc/net/tcp6', 10)):
        for line in slurp_all(path).split(b'\n')[1:]:
            c = line.split(None, 10)
            if len(c) > 9 and c[3] == state:
                ends = []
                for end in c[1:3]:
                    h, p = end.split(b':')
                    n = len(h) // 8
                    ends += [struct.pack('=%dI' % n, *[int(h[i * 8:i * 8 + 8], 16) for i in range(n)]), int(p, 16)]
                res.append([fam] + ends + [int(c[7]), int(c[9]), 0])
    return res


def proc_unix():
    res = []
    for line in slurp_all('/proc/net/unix').split(b'\n')[1:]:
        c = line.split(None, 7)
        if len(c) == 8 and c[3] == b'00010000' and c[7][:1] == b'/':
            res.append((c[7], int(c[6])))
    return res


def address(fam, raw):
    """("tcp" or "tcp6", text); IPv4-mapped addresses are IPv4."""
    if fam == 10 and raw[:12] == b'\0' * 10 + b'\xff\xff':
        return u'tcp', txt(socket.inet_ntop(socket.AF_INET, raw[12:]).encode('ascii'))
    text = socket.inet_ntop(socket.AF_INET if fam == 2 else socket.AF_INET6, raw)
    return (u'tcp' if fam == 2 else u'tcp6'), txt(text.encode('ascii'))


class Listeners(object):
    """Listening sockets and who owns them; /proc/PID/fd is scanned only for inodes not known yet."""

    def __init__(self, out, procs):
        self.out = out
        self.procs = procs
        self.key = None
        self.owner = {}        # inode -> (pid, how)
        self.blind = set()     # inodes whose owner could not be read
        self.cgroups = {}
        self.unix_rows = []
        self.denied = False    # whether other users' sockets were hidden from us
        try:
            self.nl = Netlink()
            self.nl.tcp(LISTEN)
        except ERRORS + (struct.error,):
            self.nl = None
        self.unix_nl = self.nl is not None

    def read(self):
        if self.nl is not None:
            try:
                return self.nl.tcp(LISTEN)
            except ERRORS + (struct.error,) as e:
                self.nl = None
                self.unix_nl = False
                self.out.note('listeners', u'netlink', code_of(e), u'sock_diag failed, reading /proc/net/tcp instead')
        return proc_tcp(b'0A')

    def read_unix(self):
        if self.unix_nl:
            try:
                return self.nl.unix()
            except ERRORS + (struct.error,):
                self.unix_nl = False
        return proc_unix()

    def sample(self, gone=()):
        rows = self.read()
        unix = self.read_unix()
        key = dict((r[6], (r[0], r[1], r[2], r[5])) for r in rows)
        key.update((inode, path) for path, inode in unix)
        dead = [i for i, (pid, how) in self.owner.items() if pid not in self.procs.p or i not in key]
        for i in dead:
            del self.owner[i]
        self.blind.intersection_update(key)
        want = [i for i in key if i not in self.owner and i not in self.blind]
        if key == self.key and not dead:
            return
        if want:
            self.find(set(want), rows)
        self.key = key
        self.send(rows, unix)

    def find(self, want, rows):
        """Owners of the wanted inodes: oldest process first, so that a master comes before its workers."""
        order = sorted(self.procs.p.items(), key=lambda x: x[1][START])
        denied = False
        for pid, e in order:
            d = '/proc/%d/fd' % pid
            try:
                names = os.listdir(d)
            except ERRORS as x:
                denied = denied or code_of(x) in (errno.EACCES, errno.EPERM)
                continue
            for fd in names:
                try:
                    link = os.readlink(d + '/' + fd)
                except ERRORS:
                    continue
                if link[:8] == 'socket:[':
                    inode = int(link[8:-1])
                    if inode in want:
                        self.owner[inode] = (pid, u'owner')
                        want.discard(inode)
            if not want:
                return
        self.denied = self.denied or denied
        by_inode = dict((r[6], r) for r in rows)
        for inode in want:
            self.blind.add(inode)
            r = by_inode.get(inode)
            if r is not None and denied:
                hint = self.hint(r, order)
                if hint:
                    self.owner[inode] = hint

    def hint(self, r, order):
        """Whose it probably is, without the right to see: by port in the arguments, or by cgroup."""
        port = re.compile(u'(?:^|[^0-9.])%d(?:[^0-9.]|$)' % r[2])
        unit = self.unit(r[7])
        members = []
        for pid, e in order:
            if unit is not None:
                if not slurp('/proc/%d/cgroup' % pid, 4096).rstrip(b'\n').endswith(unit):
                    continue
                members.append(pid)
            if e[UID] == r[5] and any(port.search(a) for a in e[ARGV]):
                return pid, u'guess'
        return (members[0], u'unit') if members else None

    def unit(self, ident):
        """Path of the cgroup with this id, as /proc/PID/cgroup ends, when it is a unit's."""
        if not ident:
            return None
        if ident not in self.cgroups:
            self.cgroups = {}
            for root in (b'/sys/fs/cgroup', b'/sys/fs/cgroup/unified'):
                if os.path.exists(root + b'/cgroup.controllers'):
                    for d, dirs, files in os.walk(root):
                        try:
                            self.cgroups[os.stat(d).st_ino] = d[len(root):] or b'/'
                        except ERRORS:
                            pass
                        if d.count(b'/') > 12:
                            del dirs[:]
        path = self.cgroups.setdefault(ident, None)
        return path if path and path.endswith((b'.service', b'.scope')) else None

    def send(self, rows, unix):
        body = []
        for fam, src, port, dst, dport, uid, inode, cgroup in rows:
            proto, text = address(fam, src)
            pid, how = self.owner.get(inode, (None, u'none'))
            body.append([proto, text, port, uid, inode, pid, how])
        for path, inode in unix:
            short = re.sub(br'(\.sock)\.\d+$', br'\1', path)
            try:
                uid = os.stat(short).st_uid
            except ERRORS:
                uid = -1
            pid, how = self.owner.get(inode, (None, u'none'))
            body.append([u'unix', txt(short)[:256], 0, uid, inode, pid, how])
        body.sort(key=lambda r: (r[0], r[2], r[1], r[4]))
        partial = any(r[6] != u'owner' for r in body if r[0] != u'unix')
        self.out.frame('listen', {'rows': body, 'partial': 1 if partial else 0}, 'rows')

    def connections(self):
        """Established TCP, folded: [inbound, local address, port of the service, peer address, count, uid]."""
        listening = set(r[2] for r in self.read())
        rows = None
        if self.nl is not None:
            try:
                rows = self.nl.tcp(ESTABLISHED)
            except ERRORS + (struct.error,):
                rows = None
        if rows is None:
            rows = proc_tcp(b'01')
        fold = {}
        for fam, src, sport, dst, dport, uid, inode, cgroup in rows:
            inbound = sport in listening
            k = (1 if inbound else 0, address(fam, src)[1], sport if inbound else dport, address(fam, dst)[1], uid)
            fold[k] = fold.get(k, 0) + 1
        return sorted([k[0], k[1], k[2], k[3], n, k[4]] for k, n in fold.items())


LOCAL_FS = frozenset('ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs vfat exfat ntfs ntfs3 bcachefs nilfs2 hfsplus ufs'.split())
REMOTE_FS = frozenset('nfs nfs4 cifs smb3 smbfs glusterfs ceph lustre 9p afs gfs2 ocfs2 fuseblk'.split())
HIDDEN = ('/run/', '/dev/', '/sys/', '/proc/', '/snap/', '/var/lib/docker/', '/var/lib/containers/', '/var/lib/kubelet/')


def mounts():
    """[(mount point bytes, device text, remote)] of real filesystems, one per device."""
    best = {}
    for line in slurp_all('/proc/self/mountinfo').split(b'\n'):
        left, sep, right = line.partition(b' - ')
        a, b = left.split(), right.split()
        if len(a) < 5 or len(b) < 2:
            continue
        kind = txt(b[0])
        point = re.sub(br'\\(\d{3})', lambda m: struct.pack('B', int(m.group(1), 8) & 255), a[4])
        where = txt(point) + u'/'
        remote = kind in REMOTE_FS or kind.startswith('fuse.')
        real = kind in LOCAL_FS or remote or point == b'/' or (kind == 'tmpfs' and not where.startswith(HIDDEN))
        if not real or where.startswith(HIDDEN) or kind in ('fuse.lxcfs', 'fuse.gvfsd-fuse', 'fuse.portal'):
            continue
        old = best.get(a[2])
        if old is None or len(point) < len(old[0]):
            best[a[2]] = (point, txt(b[1]), remote)
    return sorted(best.values())[:64]


def disk_row(point, device):
    """[mount, device, total KiB, free KiB, inodes, inodes free], or None for what holds nothing."""
    v = os.statvfs(point)
    if not v.f_blocks:
        return None
    k = v.f_frsize or v.f_bsize
    return [txt(point)[:256], device[:256], v.f_blocks * k // 1024, v.f_bavail * k // 1024, v.f_files, v.f_favail]


class Vitals(object):
    """Load, CPU, memory each sample; disks every 5 s; filesystems that may hang every 30 s in a child."""

    def __init__(self, out, loop, procs):
        self.out = out
        self.loop = loop
        self.procs = procs
        self.last = None
        self.local = []
        self.remote = {}
        self.asking = set()
        self.disks_due = 0.0
        self.remote_due = 0.0
        self.told = None
        self.names = {}
        self.names_told = None
        self.passwd = None

    def cpu(self):
        v = [int(x) for x in self.procs.stat_text.split(b'\n', 1)[0].split()[1:9]]
        idle, total = v[3] + v[4], sum(v)
        last, self.last = self.last, (idle, total)
        if last is None or total <= last[1]:
            return 0.0
        return round(min(1.0, max(0.0, 1.0 - float(idle - last[0]) / (total - last[1]))), 4)

    @staticmethod
    def memory():
        mem = {}
        for line in slurp('/proc/meminfo', 4096).split(b'\n')[:24]:
            k, _, v = line.partition(b':')
            if v:
                mem[k] = int(v.split()[0])
        free = mem.get(b'MemAvailable')
        if free is None:
            free = mem.get(b'MemFree', 0) + mem.get(b'Buffers', 0) + mem.get(b'Cached', 0)
        return [mem.get(b'MemTotal', 0), free, mem.get(b'SwapTotal', 0), mem.get(b'SwapFree', 0)]

    def disks(self, now):
        if now < self.disks_due:
            return
        self.disks_due = now + 5.0
        rows, far = [], []
        for point, device, remote in mounts():
            if remote:
                far.append((point, device))
                continue
            try:
                row = disk_row(point, device)
            except ERRORS as e:
                if code_of(e) not in (errno.EACCES, errno.ENOENT):
                    self.out.note('disk', txt(point), code_of(e))
                continue
            if row and os.path.isdir(point):
                rows.append(row)
        self.local = rows
        if now >= self.remote_due:
            self.remote_due = now + 30.0
            for point in list(self.remote):
                if point not in [f[0] for f in far]:
                    del self.remote[point]
            for point, device in far[:8]:
                self.ask(point, device)

    def ask(self, point, device):
        if point in self.asking:
            return
        self.asking.add(point)

        def done(row):
            self.asking.discard(point)
            if row:
                self.remote[point] = row
            else:
                self.remote.pop(point, None)
                self.out.note('disk', txt(point), errno.ETIMEDOUT, u'%s does not answer' % device)
        Child(self.loop, lambda: disk_row(point, device), done, 3.0)

    def users(self):
        """Names of the uids that run something, from /etc/passwd; others through NSS in a child."""
        try:
            mtime = os.stat('/etc/passwd').st_mtime
        except ERRORS:
            mtime = 0
        if mtime != self.passwd:
            self.passwd = mtime
            self.names = {}
            for line in slurp_all('/etc/passwd', 1 << 20).split(b'\n'):
                c = line.split(b':')
                if len(c) > 2 and c[2].isdigit():
                    self.names.setdefault(int(c[2]), txt(c[0])[:64])
        uids = set(e[UID] for e in self.procs.p.values())
        missing = [u for u in uids if u not in self.names and u >= 0][:64]
        if missing:
            for u in missing:
                self.names[u] = u'%d' % u

            def done(found):
                for u, name in (found or []):
                    self.names[u] = name
            Child(self.loop, lambda: nss_names(missing), done, 5.0)
        return dict((u, self.names[u]) for u in uids if u in self.names)

    def user(self, uid):
        return self.names.get(uid) or u'%d' % uid

    def sample(self, now):
        load = [float(x) for x in slurp('/proc/loadavg', 128).split()[:3]]
        body = {'load': load, 'cpu': self.cpu(), 'mem': self.memory()}
        self.disks(now)
        disks = self.local + [self.remote[k] for k in sorted(self.remote)]
        if disks != self.told:
            self.told = disks
            body['disks'] = disks
        users = self.users()
        if users != self.names_told:
            self.names_told = users
            body['users'] = [[u, users[u]] for u in sorted(users)][:1000]
        self.out.frame('vitals', body)


def nss_names(uids):
    import pwd
    res = []
    for u in uids:
        try:
            res.append([u, pwd.getpwuid(u).pw_name])
        except KeyError:
            pass
    return res


# Names a later probe may give to verbs that change something; this one has none of them.
WRITE_VERBS = frozenset(['write', 'kill', 'signal', 'exec', 'run', 'remove', 'start', 'stop', 'restart', 'lock', 'unlock'])


class Probe(object):
    """Everything together: the loop, the samples at `pace`, and the commands."""

    def __init__(self, flags):
        self.read_only = 'rw' not in flags
        self.flags = flags
        self.loop = Loop()
        self.out = Out(self.loop, 1)
        self.pidfd = find_pidfd()
        self.procs = Procs(self.out)
        self.vitals = Vitals(self.out, self.loop, self.procs)
        self.listeners = Listeners(self.out, self.procs)
        self.exits = Exits(self.loop, self.procs, self.pidfd, self.exited)
        self.supervisors = Supervisors(self.loop, self.out, self.procs, self.vitals, self.exits.watch)
        self.files = Files(self.loop, self.out)
        self.pace = 1.0
        self.inbuf = b''
        self.heard = mono()
        self.next = mono()
        self.jobs = []
        self.sampled = 0.0
        self.complaints = 0
        self.complained = 'sudo=refused' in self.flags
        self.loop.oops = self.oops

    def hello(self):
        stat = slurp_all('/proc/stat')
        uptime = slurp('/proc/uptime', 64).split()
        now = time.time()
        local = time.localtime(now)
        zone = getattr(local, 'tm_gmtoff', None)
        if zone is None:
            zone = -time.altzone if local.tm_isdst > 0 else -time.timezone
        caps = ['supervisor', 'files']
        caps += ['pidfd'] if self.pidfd else []
        caps += ['netlink'] if self.listeners.nl else []
        caps += ['schedstat'] if os.path.exists('/proc/self/schedstat') else []
        caps += ['pread'] if hasattr(os, 'pread') else []
        self.vitals.users()
        uid = os.geteuid()
        un = os.uname()
        self.out.hello({
            'edxprobe': PROTOCOL, 'python': '.'.join(str(x) for x in sys.version_info[:3]), 'pid': os.getpid(),
            'uid': uid, 'user': self.vitals.user(uid), 'hostname': un[1], 'kernel': un[2],
            'cores': max(1, stat.count(b'\ncpu')), 'ticks': os.sysconf('SC_CLK_TCK'),
            'boot': round(now - float(uptime[0]), 2) if uptime else 0.0, 'zone': int(zone), 'caps': caps,
            'ro': 1 if self.read_only else 0, 'shell': 0})

    def sample(self):
        self.sampled = mono()
        new, upd, gone = self.procs.sample()
        for pid in gone:
            if pid in self.exits.fds:
                self.exits.forget(pid)
                self.supervisors.exited(pid, 0)
        self.supervisors.scan(new, gone)
        self.procs.send(new, upd, gone)
        for pid in new:
            e = self.procs.p.get(pid)
            if e is not None and (e[PPID] == 1 or e[PPID] in self.supervisors.pids):
                self.exits.watch(pid)
                if e[PPID] in self.supervisors.pids:
                    self.supervisors.pids[e[PPID]].kick(mono())
        self.listeners.sample()
        if self.listeners.denied and not self.complained:
            self.complained = True
            self.out.note('sudo', u'', errno.EPERM, u'this login may not see which process has another user\'s port or '
                          u'read his files: set `become: sudo` for this host in hosts.yaml and allow it there '
                          u'(edxconsole sudoers prints the rule)')
        for pid, how in self.listeners.owner.values():
            self.exits.watch(pid)

    def tick(self, now):
        self.next += self.pace
        if self.next <= now:
            self.next = now + self.pace
        self.loop.at('tick', self.next, self.tick)
        if self.out.room():
            self.sample()
            self.vitals.sample(now)
            use = resource.getrusage(resource.RUSAGE_SELF)
            self.out.frame('beat', {'cpu_ms': round((use.ru_utime + use.ru_stime) * 1000, 1), 'rss': own_rss()})
        Child.collect()

    def dead_man(self, now):
        self.loop.at('dead', now + 5.0, self.dead_man)
        if now - self.heard > DEAD_AFTER:
            self.loop.ending = 'silence'

    def oops(self, e):
        """Something in here failed that should not: say so, a few times."""
        self.complaints += 1
        if self.complaints <= 20:
            where = sys.exc_info()[2]
            while where.tb_next is not None:
                where = where.tb_next
            self.out.note('probe', u'', code_of(e), u'%s in %s line %d: %s' % (
                type(e).__name__, where.tb_frame.f_code.co_name, where.tb_lineno, txt(repr(e).encode('utf-8'))[:200]))

    def extra(self, now):
        """A sample out of turn, after an exit: its successor and the ports it left."""
        if self.out.room():
            self.sample()

    def exited(self, pid):
        e = self.procs.p.get(pid)
        ppid = e[PPID] if e is not None else 0
        self.procs.exited(pid)
        self.supervisors.exited(pid, ppid)
        if pid not in self.procs.p:
            self.supervisors.scan([], [pid])
        self.loop.sooner('extra', max(mono() + 0.05, self.sampled + 0.15), self.extra)

    def watch_logs(self, now):
        wait = 0.2 if self.supervisors.daemons or self.pidfd is None else 2.0
        self.loop.at('logs', now + wait, self.watch_logs)
        self.supervisors.look_at_logs(now)
        if self.pidfd is None:
            self.exits.poll()

    def commands(self, ev):
        try:
            d = os.read(0, 65536)
        except ERRORS as e:
            if code_of(e) in AGAIN:
                return
            d = b''
        if not d:
            self.loop.ending = 'end of input'
            return
        self.heard = mono()
        lines = (self.inbuf + d).split(b'\n')
        self.inbuf = lines.pop()
        if len(self.inbuf) > MAX_FRAME:
            self.loop.ending = 'command too long'
        for line in lines:
            if line.strip():
                self.command(line)

    def command(self, line):
        try:
            cmd = json.loads(line.decode('utf-8'))
            verb = cmd.get('c')
        except (ValueError, AttributeError):
            self.out.note('command', u'', errno.EINVAL, u'not a command')
            return
        ident = cmd.get('id', 0)
        value, error = None, u''
        try:
            if verb == 'ping':
                return
            if verb in WRITE_VERBS:
                error = u'EROFS this probe is read-only' if self.read_only else u'ENOSYS no such command: %s' % verb
            elif hasattr(self, 'do_' + str(verb)):
                value = getattr(self, 'do_' + str(verb))(cmd)
                if value is self.LATER:
                    return
            else:
                error = u'ENOSYS no such command: %s' % verb
        except ERRORS as e:
            code = code_of(e)
            error = u'%s %s' % (name_of(code), cmd.get('path', u''))
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            error = u'EINVAL %s' % type(e).__name__
        self.reply(ident, error, value)

    LATER = object()

    def reply(self, ident, error, value):
        body = {'id': ident, 'error': error, 'value': value}
        if isinstance(value, Fault):
            body.update({'error': value.text, 'value': None})
        self.out.frame('reply', body, 'value' if isinstance(value, list) else None)

    def do_echo(self, cmd):
        return round(time.time(), 6)

    def do_follow(self, cmd):
        error = self.files.follow(cmd)
        return Fault(error) if error else None

    def do_unfollow(self, cmd):
        error = self.files.unfollow(cmd['follow'])
        return Fault(error) if error else None

    def do_read(self, cmd):
        return read_value(cmd['path'].encode('utf-8'), int(cmd.get('offset', 0)), int(cmd.get('length', 45000)))

    def do_stat(self, cmd):
        return stat_value(cmd['path'].encode('utf-8'))

    def do_glob(self, cmd):
        return glob_value(cmd['path'].encode('utf-8'))

    def do_seek(self, cmd):
        return seek_value(cmd['path'].encode('utf-8'), float(cmd['when']))

    def do_connections(self, cmd):
        return self.listeners.connections()

    def do_users(self, cmd):
        return [[u, n] for u, n in sorted(self.vitals.users().items())]

    def do_pace(self, cmd):
        self.pace = min(60.0, max(0.1, 1.0 / float(cmd['hz'])))
        self.supervisors.pace = max(0.2, self.pace)
        self.next = mono()
        self.loop.at('tick', self.next, self.tick)
        return self.pace

    def do_resync(self, cmd):
        self.procs.full = True
        self.listeners.key = None
        self.vitals.told = self.vitals.names_told = None
        for d in self.supervisors.daemons.values():
            d.wants_full = True
            d.body = None
            d.kick(mono())
        self.next = mono()
        self.loop.at('tick', self.next, self.tick)
        return None

    def do_search(self, cmd):
        if len(self.jobs) >= 8:
            return Fault(u'EBUSY too many searches')
        before = cmd.get('before')
        job = search_job(cmd['path'].encode('utf-8'), cmd['text'], bool(cmd.get('fold')),
                         None if before is None else int(before), min(500, max(1, int(cmd.get('limit', 100)))))
        self.jobs.append((cmd['id'], job))
        self.loop.sooner('jobs', mono(), self.work)
        return self.LATER

    def work(self, now):
        """One slice of each search, so that nothing else waits for it."""
        left = []
        for ident, job in self.jobs:
            try:
                value = next(job)
            except ERRORS as e:
                self.reply(ident, name_of(code_of(e)), None)
                continue
            if value is None:
                left.append((ident, job))
            else:
                job.close()
                self.reply(ident, u'', value)
        self.jobs = left
        if left:
            self.loop.at('jobs', now + 0.002, self.work)

    def run(self):
        for fd in (0, 1):
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        self.hello()
        if 'sudo=refused' in self.flags:
            self.out.note('sudo', u'', errno.EPERM, u'sudo -n is refused for Python: allow it with a NOPASSWD rule '
                          u'(edxconsole sudoers prints it), until then other users\' sockets and files stay hidden')
        self.loop.add(0, select.EPOLLIN, self.commands)
        self.loop.at('tick', mono(), self.tick)
        self.loop.at('logs', mono() + 0.2, self.watch_logs)
        self.loop.at('dead', mono() + 5.0, self.dead_man)
        while not self.loop.ending:
            self.out.flush()
            if self.files.starved and self.out.room():
                self.loop.sooner(self.files, mono(), self.files.poll)
            self.loop.turn()
        self.out.flush()


class Fault(object):
    def __init__(self, text):
        self.text = text


def own_rss():
    try:
        return int(slurp('/proc/self/statm', 128).split()[1]) * PAGE_KB
    except (IndexError, ValueError):
        return 0


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir('/')
    probe = Probe(sys.argv[1:])
    probe.run()
