# edxconsole probe, continued: the process table, and who of it ended.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

def sees_itself():
    """Whether pids as we use them and those of /proc are of one namespace."""
    try:
        return os.readlink('/proc/self') == str(os.getpid())
    except ERRORS:
        return False


def find_pidfd():
    """A function pid -> pidfd, or None where the kernel (before 5.3) or Python can't."""
    if not sees_itself():
        return None
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
FS, RAN, THREADS, CPU, RSS, STATE, START, PPID, COMM, UID, ARGV, BORN, INNER = range(13)
PF_KTHREAD = 0x00200000


class CpuClocks(object):
    """Who ran since the last look, by the CPU clock of each process: one call without a file or a right.

    It counts all threads, in nanoseconds. Nothing about a process changes unless it ran, but its
    resident memory when the kernel reclaims it, and its parent.
    """

    def __init__(self):
        self.read = time.clock_gettime
        self.seen = {}         # clock -> its time at the last look

    def leads(self, pid):
        """Whether this is a process, not one of its further threads."""
        try:
            self.read(~pid << 3 | 2)
        except ERRORS:
            return False
        return True

    def watch(self, pid):
        self.seen[~pid << 3 | 2] = 0.0

    def forget(self, pid):
        self.seen.pop(~pid << 3 | 2, None)

    def quiet(self, pid):
        """Whether it did not run since the last look."""
        try:
            clock = ~pid << 3 | 2
            return self.read(clock) == self.seen.get(clock)
        except ERRORS:
            return False

    def ran(self, table):
        """pids that ran or ended since the last call."""
        now = []
        clocks = map(self.read, self.seen)
        while 1:
            try:
                now.extend(clocks)
                break
            except ERRORS:
                now.append(-1.0)       # it ended; the clocks before it are in the list, those behind it come next
        moved = [(c, t) for c, was, t in zip(self.seen, self.seen.values(), now) if t != was]
        self.seen.update(moved)
        return [~(c >> 3) for c, t in moved]


class SchedStats(object):
    """The same from kept fds of /proc/PID/schedstat, where CPU clocks can't be read (Python 2.7) or not trusted.

    That file is about the first thread alone: processes of several threads count as having run.
    """

    def __init__(self, files):
        self.files = files
        self.seen = {}         # pid -> [fd, its text at the last look]

    def leads(self, pid):
        return True

    def watch(self, pid):
        self.seen[pid] = [self.files.keep('/proc/%d/schedstat' % pid), b'']

    def forget(self, pid):
        self.files.leave(self.seen.pop(pid, (-1,))[0])

    def quiet(self, pid):
        return False

    def ran(self, table):
        res = []
        for pid, entry in self.seen.items():
            fd, was = entry
            if fd >= 0 and table[pid][THREADS] == 1:
                try:
                    entry[1] = pread(fd, 64, 0)
                except ERRORS:
                    entry[1] = b''
                if entry[1] and entry[1] == was:
                    continue
            res.append(pid)
        return res


class KeptFiles(object):
    """fds that stay open, up to the limit of open files, which is raised as far as we may."""

    def __init__(self):
        self.n = 0
        try:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            want = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
            if soft < want:
                resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
                soft = want
            self.most = soft - 256
        except (ValueError, OSError):
            self.most = 256

    def keep(self, path):
        """An fd, or -1."""
        if self.n >= self.most:
            return -1
        try:
            fd = os.open(path, RO)
        except ERRORS:
            return -1
        self.n += 1
        return fd

    def leave(self, fd):
        if fd >= 0:
            os.close(fd)
            self.n -= 1


class Newcomers(object):
    """pids that may be new since the last sample: the few that were given out since, or all there are."""

    FEW = 64

    def __init__(self, gate):
        self.load = Source('/proc/loadavg')
        self.counted = isinstance(gate, CpuClocks) and self.genuine()
        self.forks = None
        self.before = self.last = None         # the pid given out last, at the sample before the last and at the last

    def genuine(self):
        """Whether /proc/loadavg is the kernel's and names the last pid; lxcfs puts one of its own there."""
        try:
            return self.last_pid() > 0 and os.stat('/proc/loadavg').st_dev == os.stat('/proc').st_dev
        except ERRORS + (ValueError, IndexError):
            return False

    def last_pid(self):
        return int(self.load.text(128).split()[4])

    def look(self, stat, freed, whole):
        """(pids to try, whether they are all there are). `stat` is /proc/stat, `freed` pids may be in use again."""
        if not self.counted:
            i = stat.find(b'\nprocesses ')
            forks = stat[i + 11:stat.find(b'\n', i + 1)]
            if forks == self.forks and not whole:
                return (), False
            self.forks = forks
            return self.all(), True
        # a pid is given out a moment before its process can be seen: each is tried at two samples
        first = self.before
        self.before = self.last
        self.last = self.last_pid()
        if whole or first is None or not 0 <= self.last - first <= self.FEW:
            return self.all(), True
        return list(range(first + 1, self.last + 1)) + freed, False

    @staticmethod
    def all():
        return [int(n) for n in os.listdir('/proc') if n[0] in '123456789']


class Procs(object):
    """The process table by kept fds of /proc/PID/stat, read when a process ran, and all in turn every 60 samples.

    Kernel threads are left out. A pid is reported again as new when it ran exec(), changed its
    uid or its parent; the same pid with another start time is gone and new.
    """

    def __init__(self, out):
        self.out = out
        self.p = {}
        self.kernel = set()
        self.tick = 0
        self.turns = [set() for _ in range(60)]
        self.stat = os.open('/proc/stat', RO)
        self.stat_text = b''
        self.files = KeptFiles()
        clocks = hasattr(time, 'clock_gettime') and sees_itself()
        self.gate = CpuClocks() if clocks else SchedStats(self.files)
        self.newcomers = Newcomers(self.gate)
        self.freed = []        # pids dropped since the last sample
        self.orphaned = set()  # pids whose children have another parent now
        self.changes = 0       # grows when a process came, went or got another uid
        self.full = True
        try:
            os.close(os.open('/proc/1/stat', RO))
        except ERRORS as e:
            out.note('processes', u'/proc', code_of(e), u'processes of other users are hidden (hidepid)')

    def read_stat(self, pid, e):
        s = pread(e[FS], 1024, 0) if e[FS] >= 0 else slurp('/proc/%d/stat' % pid, 1024)
        if not s:
            raise OSError(errno.ESRCH, 'gone')
        return s

    def drop(self, pid):
        self.files.leave(self.p.pop(pid)[FS])
        self.turns[pid % 60].discard(pid)
        self.gate.forget(pid)
        self.freed.append(pid)
        self.changes += 1

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
        if not self.gate.leads(pid):
            return
        d = '/proc/%d' % pid
        fs = self.files.keep(d + '/stat')
        try:
            s = pread(fs, 1024, 0) if fs >= 0 else slurp(d + '/stat', 1024)
        except ERRORS:
            s = b''
        r = s.rfind(b')')
        f = s[r + 2:].split(None, 22)
        if len(f) < 22 or int(f[6]) & PF_KTHREAD:
            if len(f) >= 22:
                self.kernel.add(pid)
            self.files.leave(fs)
            return
        uid, argv, inner = self.identity(pid)
        self.p[pid] = [fs, True, int(f[17]), int(f[11]) + int(f[12]), int(f[21]), f[0], int(f[19]), int(f[1]),
                       s[s.find(b'(') + 1:r], uid, argv, mono(), inner]
        self.gate.watch(pid)
        self.turns[pid % 60].add(pid)
        self.changes += 1
        new.append(pid)

    def row(self, pid):
        e = self.p[pid]
        return [pid, e[PPID], e[START], e[UID], txt(e[COMM]), txt(e[STATE]), e[CPU], e[RSS] * PAGE_KB,
                e[THREADS], e[ARGV], e[INNER]]

    def look(self, pid, e, again):
        """Re-read one process. 0 nothing changed, 1 counters did, 2 it is another program; OSError gone."""
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
        if again and f[0] != b'Z':
            e[RAN] = False
            uid, argv, _ = self.identity(pid)
            if argv and (argv != e[ARGV] or uid != e[UID]):
                self.changes += uid != e[UID]
                e[ARGV] = argv
                e[UID] = uid
                what = 2
        if cpu != e[CPU] or f[0] != e[STATE] or abs(rss - e[RSS]) > 64 or threads != e[THREADS]:
            what = what or 1
            if f[0] == b'Z' != e[STATE]:
                self.orphaned.add(pid)
            e[CPU] = cpu
            e[RSS] = rss
            e[STATE] = f[0]
        e[COMM] = comm
        e[PPID] = ppid
        e[THREADS] = threads
        return what

    def due(self):
        """{pid: whether to ask who it is as well} of what must be read at this sample."""
        turn = self.tick % 30
        orphaned, self.orphaned = self.orphaned, set()
        due = dict((pid, self.p[pid][RAN]) for pid in self.turns[self.tick % 60])
        if orphaned:
            due.update((pid, True) for pid, e in self.p.items() if e[PPID] in orphaned)
        young = mono() - 5.0
        for pid in self.gate.ran(self.p):
            e = self.p[pid]
            e[RAN] = True
            due[pid] = pid % 30 == turn or e[BORN] > young or due.get(pid, False)
        return due

    def sample(self):
        """(pids new or re-identified, pids with new counters, pids gone) since the last sample."""
        new, upd, gone = [], [], []
        self.tick += 1
        for pid, again in self.due().items():
            try:
                what = self.look(pid, self.p[pid], again)
            except ERRORS:
                gone.append(pid)
                continue
            if what == 2:
                new.append(pid)
            elif what == 1:
                upd.append(pid)
        for pid in gone:
            self.drop(pid)
        self.orphaned.update(gone)
        self.stat_text = pread(self.stat, 512 if self.newcomers.counted else 262144, 0)
        self.arrivals(new)
        return new, upd, gone

    def arrivals(self, new):
        whole = self.tick % 30 == 0
        pids, all_there_are = self.newcomers.look(self.stat_text, self.freed, whole)
        self.freed = []
        if all_there_are:
            self.kernel.intersection_update(() if whole else pids)
            pids = [pid for pid in pids if pid not in self.kernel]
        for pid in pids:
            if pid not in self.p:
                self.add(pid, new)

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
            self.orphaned.add(pid)
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
            if e is not None and e[STATE] != b'Z' and self.procs.gate.quiet(pid):
                continue
            try:
                dead = e is None or self.procs.read_stat(pid, e).split(b')')[-1][1:2] in b'ZX'
            except ERRORS:
                dead = True
            if dead:
                self.fire(pid)
