# edxconsole probe, continued: the process table.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

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
