# edxconsole probe: what runs on a watched host. Streamed over SSH into the host's own Python and
# never written to its disk. Standard library only; CPython 2.7 and 3.4 to 3.14; Linux.
# launcher.py sends the agent_*.py files and this one, the last, as one program ending in main().
#
# It only reads. Frames go out on fd 1 as JSON lines of at most 64 KiB, commands come in on fd 0;
# the formats are in frames.py and decode.py of this package. It ends at EOF on fd 0, 30 s after
# the last command, or when fd 1 is closed. One thread, one epoll loop, nothing in it may block.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

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
        self.resident = 0
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
            if pid not in self.exits.fds:
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
            self.out.frame('beat', {'cpu_ms': round((use.ru_utime + use.ru_stime) * 1000, 1), 'rss': self.rss()})
        Child.collect()

    def rss(self):
        """Our memory, KiB, looked up every ten samples."""
        if self.procs.tick % 10 == 1:
            try:
                self.resident = int(slurp('/proc/self/statm', 128).split()[1]) * PAGE_KB
            except (IndexError, ValueError):
                self.resident = 0
        return self.resident

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


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir('/')
    probe = Probe(sys.argv[1:])
    probe.run()
