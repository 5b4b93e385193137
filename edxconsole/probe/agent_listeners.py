# edxconsole probe, continued: listening sockets and who owns them.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

LISTEN = 1 << 10
ESTABLISHED = 1 << 1


class Netlink(object):
    """TCP and UNIX sockets by NETLINK_SOCK_DIAG: unprivileged, and 140 times cheaper than /proc/net/tcp.

    Listeners of which the kernel says the same as the last time are not parsed again: it is the same list then.
    """

    def __init__(self):
        self.s = socket.socket(AF_NETLINK, socket.SOCK_RAW, 4)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('@ll', 1, 0))
        self.s.bind((0, 0))
        self.told = {}         # request -> (the datagrams of the last answer, what they said)

    def ask(self, kind, request, states, parse):
        self.s.send(struct.pack('=IHHII', 16 + len(request), kind, 0x301, 1, 0) + request)
        before, value = self.told.get(request, ((), None))
        got = []
        done = False
        while not done:
            d = self.s.recv(65536)
            n = len(got)
            done = n + 1 == len(before) if before[n:n + 1] == [d] else is_last(d)
            got.append(d)
        if got == before:
            return value
        value = [row for row in map(parse, messages(got)) if row]
        if states == LISTEN:
            self.told[request] = got, value
        return value

    def tcp(self, states):
        """Lists of [family, src, sport, dst, dport, uid, inode, cgroup id]: of both families in one answer."""
        return self.ask(18, struct.pack('=BBBB48xII', socket.AF_INET, 0, 0, 0, states, 0), states, tcp_row)

    def unix(self):
        """(path, inode) of listening UNIX sockets that have a path."""
        return self.ask(20, struct.pack('=BBHIIIII', 1, 0, 0, LISTEN, 0, 1, 0, 0), LISTEN, unix_row)


def is_last(datagram):
    """Whether the answer ends in it. Raises what the kernel refuses."""
    o = 0
    while o + 16 <= len(datagram):
        ln, ty = struct.unpack_from('=IH', datagram, o)
        if ty == 3:
            return True
        if ty == 2 or ln < 16:
            raise OSError(-struct.unpack_from('=i', datagram, o + 16)[0], 'netlink')
        o += (ln + 3) & ~3
    return False


def messages(datagrams):
    for d in datagrams:
        o = 0
        while o + 16 <= len(d):
            ln, ty = struct.unpack_from('=IH', d, o)
            if ty == 3:
                break
            yield d[o + 16:o + ln]
            o += (ln + 3) & ~3


def tcp_row(m):
    fam = ord(m[:1])
    sport, dport = struct.unpack_from('>HH', m, 4)
    uid, inode = struct.unpack_from('=II', m, 64)
    cgroup = struct.unpack('=Q', attr(m[72:], 21) or b'\0' * 8)[0]
    n = 4 if fam == 2 else 16
    return [fam, m[8:8 + n], sport, m[24:24 + n], dport, uid, inode, cgroup]


def unix_row(m):
    name = attr(m[16:], 0) or b''
    return (name.rstrip(b'\0'), struct.unpack_from('=I', m, 4)[0]) if name[:1] == b'/' else None


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


def established():
    """Established TCP by a socket of its own: what a failure leaves unread is in no other answer's way."""
    try:
        netlink = Netlink()
    except ERRORS:
        return proc_tcp(b'01')
    try:
        return netlink.tcp(ESTABLISHED)
    except ERRORS + (struct.error,):
        return proc_tcp(b'01')
    finally:
        netlink.s.close()


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
        self.seen = (None, None, 0)            # the rows and the state of the process table that `key` is of
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

    def sample(self):
        rows = self.read()
        unix = self.read_unix()
        seen = rows, unix, self.procs.changes
        if self.key is not None and all(a is b for a, b in zip(seen[:2], self.seen)) and seen[2] == self.seen[2]:
            return
        self.seen = seen
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
        rows = established() if self.nl is not None else proc_tcp(b'01')
        fold = {}
        for fam, src, sport, dst, dport, uid, inode, cgroup in rows:
            inbound = sport in listening
            k = (1 if inbound else 0, address(fam, src)[1], sport if inbound else dport, address(fam, dst)[1], uid)
            fold[k] = fold.get(k, 0) + 1
        return sorted([k[0], k[1], k[2], k[3], n, k[4]] for k, n in fold.items())
