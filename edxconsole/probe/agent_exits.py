# edxconsole probe, continued: who ended, at once.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

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
