# edxconsole probe, continued: the process table, and who of it ended.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

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
