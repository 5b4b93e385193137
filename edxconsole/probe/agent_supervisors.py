# edxconsole probe, continued: which supervisords there are on this host.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

DEFAULT_CONFIGS = (b'/edx/app/supervisor/supervisord.conf', b'/etc/supervisor/supervisord.conf', b'/etc/supervisord.conf')


class Supervisors(object):
    """Every supervisord of the host: found in the process table or at the usual configuration paths."""

    def __init__(self, loop, out, procs, vitals, watch):
        self.loop = loop
        self.out = out
        self.procs = procs
        self.vitals = vitals
        self.watch = watch
        self.pace = 1.0
        self.daemons = {}
        self.pids = {}         # pid of a supervisord -> Daemon
        self.recent = {}       # pids that ended lately -> when
        self.foreign = set()
        self.looked = False
        try:
            self.ns = os.readlink('/proc/self/ns/mnt')
        except ERRORS:
            self.ns = None

    def scan(self, new, gone):
        """After a sample: notice supervisords that came or went."""
        for pid in new:
            e = self.procs.p.get(pid)
            if e is not None and is_supervisord(e) and e[PPID] not in self.pids and pid not in self.foreign:
                config = self.config_of(pid, e)
                if config is not None:
                    self.adopt(pid, config)
        for pid in gone:
            d = self.pids.pop(pid, None)
            self.foreign.discard(pid)
            if d is not None and d.pid == pid:
                d.pid = 0
                d.version = u''
                d.kick(mono())
        if not self.looked:
            self.looked = True
            for path in DEFAULT_CONFIGS:
                if path not in self.daemons and has_programs(path):
                    self.adopt(0, path)

    def adopt(self, pid, config):
        d = self.daemons.get(config)
        if d is None:
            d = self.daemons[config] = Daemon(self, config)
            self.loop.at(d, mono(), d.start_poll)
        if pid:
            if d.pid != pid:
                d.pid = pid
                d.version = u''
                d.wants_full = True
                d.configure()
                d.kick(mono())
            self.pids[pid] = d
            self.watch(pid)
            for child, e in list(self.procs.p.items()):
                if e[PPID] == pid:
                    self.watch(child)

    def config_of(self, pid, e):
        """Path of the configuration a supervisord was started with; None when it can't be ours."""
        try:
            if self.ns and os.readlink('/proc/%d/ns/mnt' % pid) != self.ns:
                self.foreign.add(pid)
                self.out.note('supervisor', u'/proc/%d' % pid, 0, u'supervisord %d runs in a container, not read' % pid)
                return None
        except ERRORS:
            pass
        try:
            cwd = os.readlink(('/proc/%d/cwd' % pid).encode('ascii'))
        except ERRORS:
            cwd = b'/'
        given = option(e[ARGV], (u'-c', u'--configuration'))
        if given:
            return os.path.normpath(os.path.join(cwd, given.encode('utf-8')))
        base = []
        for a in e[ARGV][:3]:
            if a.endswith(u'/supervisord'):
                base.append(os.path.dirname(os.path.dirname(a)).encode('utf-8'))
        tries = [b + s for b in base for s in (b'/etc/supervisord.conf', b'/supervisord.conf')]
        tries += [cwd + b'/supervisord.conf', cwd + b'/etc/supervisord.conf', b'/etc/supervisord.conf',
                  b'/etc/supervisor/supervisord.conf', b'/edx/app/supervisor/supervisord.conf']
        for path in tries:
            if os.path.exists(path):
                return os.path.normpath(path)
        self.out.note('supervisor', u'/proc/%d' % pid, errno.ENOENT, u'supervisord %d runs without a configuration we can find' % pid)
        return None

    def exited(self, pid, ppid):
        now = mono()
        self.recent[pid] = now
        for d in self.daemons.values():
            if d.pid and d.pid in (pid, ppid) or any(row[3] == pid for row in d.rows.values()):
                d.kick(now)

    def programs_changed(self, daemon):
        for row in daemon.rows.values():
            if row[3]:
                self.watch(row[3])

    def look_at_logs(self, now):
        for d in self.daemons.values():
            if d.log_grew():
                d.kick(now)
        for pid in [p for p, when in self.recent.items() if when < now - 5.0]:
            del self.recent[pid]


def has_programs(path):
    """Whether a configuration that nothing runs was meant to run something."""
    import glob
    try:
        conf = read_config(path)
    except ERRORS as e:
        return code_of(e) in (errno.EACCES, errno.EPERM)
    if any(section.startswith(u'program:') for section in conf):
        return True
    for pattern in conf.get(u'include', {}).get(u'files', u'').split():
        if glob.glob(os.path.join(os.path.dirname(path), pattern.encode('utf-8'))):
            return True
    return False


def is_supervisord(e):
    return any(a.rsplit(u'/', 1)[-1] in (u'supervisord', u'supervisord.py', u'supervisor.supervisord') for a in e[ARGV][:4])


def option(args, names):
    for i, a in enumerate(args):
        for n in names:
            if a == n and i + 1 < len(args):
                return args[i + 1]
            if n[:2] == u'--' and a.startswith(n + u'='):
                return a[len(n) + 1:]
            if n[:2] != u'--' and a.startswith(n) and len(a) > 2 and a[2:3] in u'/.':
                return a[2:]
    return None
