# edxconsole probe, continued: which processes ran and which pids are new, without reading them all.
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
