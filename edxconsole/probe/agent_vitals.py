# edxconsole probe, continued: load, CPU, memory, disks, user names.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

LOCAL_FS = frozenset('ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs vfat exfat ntfs ntfs3 bcachefs nilfs2 hfsplus ufs'.split())
REMOTE_FS = frozenset('nfs nfs4 cifs smb3 smbfs glusterfs ceph lustre 9p afs gfs2 ocfs2 fuseblk'.split())
HIDDEN = ('/run/', '/dev/', '/sys/', '/proc/', '/snap/', '/var/lib/docker/', '/var/lib/containers/', '/var/lib/kubelet/')


def mounts(text):
    """[(mount point bytes, device text, remote)] of real filesystems, one per device, from mountinfo."""
    best = {}
    for line in text.split(b'\n'):
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
        self.mountinfo = None
        self.mounts = []
        self.told = None
        self.names = {}
        self.names_told = None
        self.passwd = None     # mtime of /etc/passwd
        self.passwd_due = 0.0
        self.named = None      # state of the process table that `present` is for
        self.present = {}
        self.meminfo = Source('/proc/meminfo')

    def cpu(self):
        line = self.procs.stat_text[:self.procs.stat_text.find(b'\n')]
        v = [int(x) for x in line.split()[1:9]]
        idle, total = v[3] + v[4], sum(v)
        last, self.last = self.last, (idle, total)
        if last is None or total <= last[1]:
            return 0.0
        return round(min(1.0, max(0.0, 1.0 - float(idle - last[0]) / (total - last[1]))), 4)

    def memory(self):
        mem = {}
        for line in self.meminfo.text(4096).split(b'\n', 24)[:24]:
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
        text = slurp_all('/proc/self/mountinfo')
        if text != self.mountinfo:
            self.mountinfo = text
            self.mounts = mounts(text)
        rows, far = [], []
        for point, device, remote in self.mounts:
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
        now = mono()
        if self.procs.changes == self.named and now < self.passwd_due:
            return self.present
        self.passwd_due = now + 5.0
        self.named = self.procs.changes
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
                self.named = None
            Child(self.loop, lambda: nss_names(missing), done, 5.0)
        self.present = dict((u, self.names[u]) for u in uids if u in self.names)
        return self.present

    def user(self, uid):
        return self.names.get(uid) or u'%d' % uid

    def sample(self, now):
        load = [float(x) for x in self.procs.newcomers.load.text(128).split()[:3]]
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
