# edxconsole probe, continued: the files that are followed, and files looked at, read, searched.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

class Files(object):
    """All follows. Files are looked at by fstat 20 times a second while they move, 10 times otherwise."""

    LIMIT = 64

    def __init__(self, loop, out):
        self.loop = loop
        self.out = out
        self.follows = {}
        self.starved = False

    def follow(self, cmd):
        ident = int(cmd['follow'])
        if ident in self.follows:
            return u'EEXIST follow %d is in use' % ident
        if len(self.follows) >= self.LIMIT:
            return u'EMFILE at most %d files can be followed' % self.LIMIT
        f = Follow(self.out, ident, cmd['path'].encode('utf-8'), mono())
        resume = cmd.get('resume')
        before = base64.b64decode((cmd.get('before') or u'').encode('ascii'))
        f.begin([int(x) for x in resume] if resume else None, cmd.get('last'), bool(cmd.get('whole')), before)
        self.follows[ident] = f
        self.loop.sooner(self, mono(), self.poll)
        return u''

    def unfollow(self, ident):
        f = self.follows.pop(ident, None)
        if f is None:
            return u'ENOENT no follow %s' % ident
        f.close()
        return u''

    def poll(self, now):
        if self.follows:
            self.loop.at(self, now + 0.05, self.poll)
        more = False
        hot = False
        for f in list(self.follows.values()):
            if not f.check(now) and self.out.room():
                more = f.pump(now) or more
            hot = hot or now < f.busy_until
        self.starved = more or not self.out.room()
        if self.follows:
            wait = 0.05 if hot else 0.1
            self.loop.at(self, now + wait, self.poll)


def who_may_read(path):
    """Which right is missing for a file that we may not open, and how to get it. From files, not NSS, which may hang."""
    sudo = u'or have the probe run by sudo (edxconsole sudoers prints the rule):'
    folder = os.path.dirname(path)
    while folder not in (b'', b'/') and not os.access(folder, os.X_OK):
        path, folder = folder, os.path.dirname(folder)
    try:
        s = os.stat(path)
    except ERRORS:
        return u'this login may not read it; give it the right to, ' + sudo
    group = dict((f[2], f[0]) for f in (x.split(b':') for x in slurp_all('/etc/group').split(b'\n')) if len(f) > 3)
    name = group.get(str(s.st_gid).encode('ascii'), b'')
    what = u'folder %s' % txt(path) if st_.S_ISDIR(s.st_mode) else u'file'
    if name and s.st_gid and s.st_mode & (st_.S_IXGRP if st_.S_ISDIR(s.st_mode) else st_.S_IRGRP):
        return u'its %s is for the group %s, which this login is not in; add it there (usermod -aG %s LOGIN), %s' % (
            what, txt(name), txt(name), sudo)
    return u'its %s is for its owner alone (mode %04o); change that, %s' % (what, s.st_mode & 0o7777, sudo)


def stat_value(path):
    s = os.stat(path)
    kind = u'file' if st_.S_ISREG(s.st_mode) else u'dir' if st_.S_ISDIR(s.st_mode) else \
        u'socket' if st_.S_ISSOCK(s.st_mode) else u'other'
    return {'path': txt(path), 'kind': kind, 'size': s.st_size, 'mtime': s.st_mtime, 'uid': s.st_uid, 'gid': s.st_gid,
            'mode': s.st_mode & 0o7777, 'device': s.st_dev, 'inode': s.st_ino, 'readable': os.access(path, os.R_OK)}


def open_regular(path):
    fd = os.open(path, RO)
    if not st_.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, 'not a regular file')
    return fd


def read_value(path, offset, length):
    """A piece of a file; a negative offset counts from the end."""
    fd = open_regular(path)
    try:
        s = os.fstat(fd)
        if offset < 0:
            offset = max(0, s.st_size + offset)
        data = pread(fd, max(0, min(length, 45000)), offset)
    finally:
        os.close(fd)
    return {'data': base64.b64encode(data).decode('ascii'), 'offset': offset, 'size': s.st_size, 'device': s.st_dev,
            'inode': s.st_ino}


def glob_value(pattern):
    import glob
    res = []
    for path in sorted(glob.glob(pattern))[:500]:
        try:
            path.decode('utf-8')
            res.append(stat_value(path))
        except ERRORS + (ValueError,):
            continue
    return res


def search_job(path, needle, fold, before, limit):
    """Lines that contain needle, newest first: yields None while it works, then [[offset, text]...]."""
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size
        end = size if before is None else min(before, size)
        want = needle.encode('utf-8')
        want = want.lower() if fold else want
        hits = []
        floor = max(0, end - (256 << 20))
        while end > floor and len(hits) < limit:
            start = max(floor, end - 262144)
            block = pread(fd, end - start, start)
            if start > 0:
                i = block.find(b'\n') + 1
                if 0 < i < len(block):
                    block = block[i:]
                    start += i
            hay = block.lower() if fold else block
            i = len(hay)
            while len(hits) < limit:
                i = hay.rfind(want, 0, i)
                if i < 0:
                    break
                a = hay.rfind(b'\n', 0, i) + 1
                b = hay.find(b'\n', i)
                hits.append([start + a, txt(block[a:b if b >= 0 else len(block)][:2000])])
                i = a
                if not i:
                    break
            end = start
            yield None
        yield hits
    finally:
        os.close(fd)
