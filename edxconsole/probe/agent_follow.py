# edxconsole probe, continued: one file followed through rotations.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

PACKED = (b'.gz', b'.xz', b'.bz2', b'.zst', b'.Z', b'.lz4', b'.zip')
ROTATED = re.compile(br'[.-](?:\d[\w.:-]*|old|prev|bak|orig)$')   # what logrotate, supervisor, python and people append
CHUNK = 32768
DRAIN = 5.0        # seconds an old file is still read after a rotation, for writers that come late
BACKLOG = 16 << 20 # bytes at most that a resume reads back


def key_of(s):
    return s.st_dev, s.st_ino


class Tail(object):
    """One open file of a follow: where we are in it, and the bytes before that, to know it again."""

    def __init__(self, path, off=0, mark=u''):
        self.fd = os.open(path, RO)
        try:
            s = os.fstat(self.fd)
            if not st_.S_ISREG(s.st_mode):
                raise OSError(errno.EINVAL, 'not a regular file')
        except OSError:
            os.close(self.fd)
            raise
        self.dev = s.st_dev
        self.ino = s.st_ino
        self.off = off
        self.seen = s.st_size
        self.mtime = s.st_mtime
        self.mark = mark
        self.lost = 0
        self.late = None
        self.held = 0.0
        self.before = b''
        self.learn()

    def learn(self):
        n = min(64, self.off)
        self.before = pread(self.fd, n, self.off - n) if n else b''
        if len(self.before) < n:
            self.before = b''

    def same(self, fd):
        """Whether another file has our last bytes at the same place: then it is a copy of ours."""
        n = len(self.before)
        return n == 0 or pread(fd, n, self.off - n) == self.before

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Follow(object):
    """A file followed by its name through rename, late writers, copytruncate, recreation and truncation."""

    def __init__(self, out, ident, path, now):
        self.out = out
        self.id = ident
        self.path = path
        self.cur = None
        self.old = []
        self.state = u''
        self.gone_since = None
        self.told = False
        self.known = set()     # neighbours that were there at the last rotation
        self.busy_until = now + 2.0

    def siblings(self):
        """[(mtime, path, stat)] of uncompressed neighbours named as rotation names them, newest first."""
        folder, base = os.path.split(self.path)
        stem, ext = os.path.splitext(base)
        res = []
        try:
            names = os.listdir(folder or b'.')
        except ERRORS:
            return []
        for n in names:
            dated = ext and n.startswith(stem) and n.endswith(ext) and ROTATED.match(n[len(stem):len(n) - len(ext)])
            if (dated or n.startswith(base) and ROTATED.match(n[len(base):])) and not n.endswith(PACKED):
                try:
                    s = os.stat(os.path.join(folder, n))
                except ERRORS:
                    continue
                if st_.S_ISREG(s.st_mode):
                    res.append((s.st_mtime, os.path.join(folder, n), s))
        res.sort(key=lambda x: x[0], reverse=True)
        return res[:200]

    def begin(self, resume=None, last=None, whole=False, before=b''):
        """Open it for the first time. Raises nothing: what fails becomes a mark."""
        try:
            t = Tail(self.path, 0, u'start')
        except ERRORS as e:
            return self.cannot(code_of(e))
        self.cur = t
        self.known = set(key_of(x[2]) for x in self.siblings())
        if resume:
            self.resume(t, resume, before)
        elif last is not None:
            t.off = last_lines(t.fd, t.seen, last)
        elif not whole:
            t.off = t.seen
        t.learn()

    def resume(self, t, where, before):
        """Go on at (device, inode, offset), `before` being the bytes there: a file cut meanwhile may be longer again."""
        dev, ino, off = where
        before = before[-off:] if off else b''
        if (t.dev, t.ino) == (dev, ino) and off <= t.seen and has_at(self.path, off, before):
            t.off = off
        elif (t.dev, t.ino) == (dev, ino):
            t.mark = u'truncated'
            found = self.siblings()
            at = [i for i, x in enumerate(found) if x[2].st_size >= off and has_at(x[1], off, before)]
            if at:
                self.take(found[at[0]:at[0] + 1], off)
                self.take(found[:at[0]][::-1] if before else [], 0)
        else:
            found = self.siblings()
            at = [i for i, x in enumerate(found) if (x[2].st_dev, x[2].st_ino) == (dev, ino)]
            t.mark = u'rotated' if at else u'gap'
            if at:
                self.take(found[at[0]:at[0] + 1], off)
                self.take([x for x in found[:at[0]][::-1] if x[2].st_ino != t.ino], 0)
        room = BACKLOG
        for x in [t] + self.old[::-1]:
            size = os.fstat(x.fd).st_size
            if size - x.off > room:
                x.lost = size - room - x.off
                x.off = size - room
                x.mark = u'gap'
                x.learn()
            room = max(0, room - (size - x.off))

    def take(self, found, off):
        for mtime, path, s in found:
            try:
                t = Tail(path, off)
            except ERRORS:
                continue
            t.late = mono()
            self.old.append(t)

    def cannot(self, code):
        state = u'denied' if code in (errno.EACCES, errno.EPERM) else u'missing'
        if state != self.state:
            self.state = state
            self.emit(None, b'', state)
            self.tell(code)

    def tell(self, code):
        """Say why it can't be read and what would help; code 0 takes it back."""
        if code in (0, errno.ENOENT):
            if self.told:
                self.out.note('file', txt(self.path), 0, u'')
            self.told = False
            return
        self.told = True
        self.out.note('file', txt(self.path), code, who_may_read(self.path) if code == errno.EACCES else None)

    def check(self, now):
        """Look at the name: was it rotated away, recreated, removed? Cheap, and done even when the pipe is full.

        True if that look was enough: it is still our file, read to its end and not written since.
        """
        try:
            s = os.stat(self.path)
        except ERRORS as e:
            if self.cur is None:
                return self.cannot(code_of(e))
            if self.gone_since is None:
                self.gone_since = now
            elif now - self.gone_since > 1.0:
                self.cannot(code_of(e))
            return
        self.gone_since = None
        t = self.cur
        if t is not None and (s.st_dev, s.st_ino) == (t.dev, t.ino):
            if self.state:
                self.state = u''
                self.tell(0)
                t.mark = t.mark or u'back'
            return s.st_size == t.off and s.st_mtime == t.mtime and not t.mark and not self.old
        try:
            fresh = Tail(self.path, 0, u'back' if self.state or t is None else u'rotated')
        except ERRORS as e:
            return self.cannot(code_of(e))
        self.state = u''
        self.tell(0)
        self.cur = fresh
        self.busy_until = now + 10.0
        if t is not None:
            t.late = now
            self.old.append(t)
            self.skipped(t, fresh)
        while len(self.old) > 8:
            self.discard(self.old.pop(0), fresh)

    def skipped(self, t, fresh):
        """Files that were rotated through between two looks: neighbours that were not there before."""
        found = self.siblings()
        taken = set((x.dev, x.ino) for x in self.old + [fresh])
        self.take([x for x in found[::-1] if key_of(x[2]) not in self.known and key_of(x[2]) not in taken], 0)
        self.known = set(key_of(x[2]) for x in found)

    def discard(self, t, heir):
        left = os.fstat(t.fd).st_size - t.off
        if left > 0:
            heir.mark = u'gap'
            heir.lost += left
        t.close()

    def truncated(self, t):
        """Ours got shorter or other: the newest copies may have what we did not read."""
        t.mark = u'truncated'
        if not self.recover(t):
            t.lost += max(0, t.seen - t.off)
        t.off = 0
        t.before = b''

    def recover(self, t):
        """Queue the copies made since we last looked: ours from where we are, younger ones whole."""
        found = [x for x in self.siblings()[::-1] if key_of(x[2]) != (t.dev, t.ino)]
        fresh = [x for x in found if key_of(x[2]) not in self.known]
        self.known = set(key_of(x[2]) for x in found)
        ours = None
        for x in fresh if t.off == 0 else fresh or found[-8:]:
            try:
                copy = Tail(x[1], 0)
            except ERRORS:
                continue
            copy.late = mono()
            if ours is None:
                if t.off and not (x[2].st_size >= t.off and t.before and t.same(copy.fd)):
                    copy.close()
                    # a copy shorter than what we read is ours too, and has nothing new for us
                    ours = x if fresh and x[2].st_size < t.off else None
                    continue
                ours = x
                copy.off = t.off
                copy.learn()
            elif not fresh:
                copy.close()
                break
            self.old.append(copy)
        return ours is not None

    def pump(self, now):
        """Send what there is, oldest file first, while the pipe has room. True if there is more to read."""
        for t in self.old + ([self.cur] if self.cur else []):
            while self.out.room():
                n = self.step(t, now)
                if n < 0:
                    return True
                if not n:
                    break
                self.busy_until = now + 2.0
            else:
                return True
        for t in list(self.old):
            if now - t.late >= DRAIN and os.fstat(t.fd).st_size <= t.off:
                self.old.remove(t)
                t.close()
        return False

    def step(self, t, now):
        """Read and send one chunk; 0 at the end, -1 when the file was truncated under us."""
        s = os.fstat(t.fd)
        size = s.st_size
        if size < t.off:
            self.truncated(t)
            return -1
        if size == t.off:
            if s.st_mtime != t.mtime:
                t.mtime = s.st_mtime
                if self.swapped(t):
                    return -1
            t.seen = size
            if t.mark:
                self.emit(t, b'', None)
            return 0
        k = len(t.before)
        data = pread(t.fd, k + CHUNK, t.off - k)
        if data[:k] != t.before:
            self.truncated(t)
            return -1
        t.seen = size
        t.mtime = s.st_mtime
        data = data[k:]
        # a writer without O_APPEND leaves a hole where copytruncate cut: nothing was lost there
        skip = 0 if t.before.strip(b'\0') else len(data) - len(data.lstrip(b'\0'))
        data = self.cut(data[skip:], t, now)
        t.off += skip
        if not data:
            if skip:
                t.learn()
            return skip
        self.emit(t, data, None)
        t.off += len(data)
        t.before = (t.before + data)[-64:] if len(data) < 64 else data[-64:]
        return len(data)

    def swapped(self, t):
        """Written, but as long as before: cut and refilled to the byte, or filled and cut while empty."""
        if t.off == 0:
            if t.late is None and self.recover(t):
                t.mark = u'truncated'
                return True
        elif t.before and not t.same(t.fd):
            self.truncated(t)
            return True
        return False

    @staticmethod
    def cut(data, t, now):
        """End at a line if the chunk is full, and never inside a character that is still being written."""
        if len(data) >= CHUNK:
            i = data.rfind(b'\n')
            if i > 0:
                return data[:i + 1]
        for back in (1, 2, 3):
            c = data[-back:][:1]
            if not c or c < b'\x80':
                break
            if c >= b'\xc0':
                if back < (2 if c < b'\xe0' else 3 if c < b'\xf0' else 4):
                    if len(data) > back:
                        return data[:-back]
                    if not t.held:
                        t.held = now
                    if now - t.held < 1.0:
                        return b''
                break
        t.held = 0.0
        return data

    def emit(self, t, data, mark):
        """One log frame, or two when escapes make it too big."""
        if len(data) > 10000 and (len(data) > CHUNK or len(json.dumps(txt(data))) > MAX_FRAME - 2048):
            half = len(data) // 2
            i = data.rfind(b'\n', 0, half) + 1 or half
            while i < len(data) and b'\x80' <= data[i:i + 1] < b'\xc0' and i < half + 4:
                i += 1
            self.emit(t, data[:i], mark)
            t.off += i
            self.emit(t, data[i:], mark)
            t.off -= i
            return
        body = {'id': self.id, 'path': txt(self.path), 'dev': 0, 'ino': 0, 'off': 0, 'len': len(data),
                'data': txt(data), 'mark': mark or u'', 'lost': 0}
        if t is not None:
            body.update({'dev': t.dev, 'ino': t.ino, 'off': t.off})
            if not mark:
                body['mark'], t.mark = t.mark, u''
                body['lost'], t.lost = t.lost, 0
        self.out.frame('log', body)

    def close(self):
        self.tell(0)
        for t in self.old + ([self.cur] if self.cur else []):
            t.close()
        self.old = []
        self.cur = None


def has_at(path, off, before):
    """Whether these bytes end at this offset of a file."""
    if not before:
        return True
    try:
        fd = os.open(path, RO)
    except ERRORS:
        return False
    try:
        return pread(fd, len(before), off - len(before)) == before
    except ERRORS:
        return False
    finally:
        os.close(fd)


def last_lines(fd, size, n):
    """Offset where the last n lines begin, looking back at most 4 MiB."""
    if n <= 0:
        return size
    pos = size
    found = -1 if size and pread(fd, 1, size - 1) == b'\n' else 0
    while pos > 0 and size - pos < 4 << 20:
        step = min(65536, pos)
        block = pread(fd, step, pos - step)
        i = len(block)
        while 1:
            i = block.rfind(b'\n', 0, i)
            if i < 0:
                break
            found += 1
            if found >= n:
                return pos - step + i + 1
        pos -= step
    return pos
