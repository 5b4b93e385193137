# edxconsole probe, its ground: small reads, the epoll loop, frames out, children with a deadline.
# Sent by launcher.py before all other agent files, as one program with them; what they import is here.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

import base64
import errno
import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import stat as st_
import struct
import sys
import time

PROTOCOL = 1
MAX_FRAME = 64 * 1024
ROOM = 192 * 1024          # bytes waiting on a full pipe above which nothing new is read
DEAD_AFTER = 30.0          # seconds without a command
PAGE_KB = os.sysconf('SC_PAGE_SIZE') // 1024
RO = os.O_RDONLY | getattr(os, 'O_CLOEXEC', 0) | os.O_NONBLOCK | os.O_NOCTTY
AF_NETLINK = getattr(socket, 'AF_NETLINK', 16)
ERRORS = (OSError, IOError, socket.error, select.error)
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.EINPROGRESS)

# 2.7 has no monotonic clock; times(2) returns one of 10 ms resolution
mono = getattr(time, 'monotonic', None) or (lambda: os.times()[4])

try:
    pread = os.pread
except AttributeError:
    def pread(fd, n, off):
        os.lseek(fd, off, 0)
        return os.read(fd, n)


def code_of(e):
    """errno of an exception of any of the four classes 2.7 has for it."""
    return getattr(e, 'errno', None) or (e.args[0] if e.args and isinstance(e.args[0], int) else 0)


def name_of(code):
    return errno.errorcode.get(code, 'E%s' % code)


def txt(b):
    return b.decode('utf-8', 'replace')


def slurp(path, n=65536):
    """Up to n bytes of a small file, b'' when it can't be read."""
    try:
        fd = os.open(path, RO)
    except ERRORS:
        return b''
    try:
        return os.read(fd, n)
    except ERRORS:
        return b''
    finally:
        os.close(fd)


class Source(object):
    """A file of /proc that stays open and is read anew each time, b'' when it can't be."""

    def __init__(self, path):
        try:
            self.fd = os.open(path, RO)
        except ERRORS:
            self.fd = -1

    def text(self, n):
        try:
            return pread(self.fd, n, 0)
        except ERRORS:
            return b''


def slurp_all(path, limit=8 << 20):
    out = []
    try:
        fd = os.open(path, RO)
    except ERRORS:
        return b''
    try:
        while limit > 0:
            b = os.read(fd, 262144)
            if not b:
                break
            out.append(b)
            limit -= len(b)
    except ERRORS:
        pass
    finally:
        os.close(fd)
    return b''.join(out)


class Loop(object):
    """epoll and named timers."""

    def __init__(self):
        self.ep = select.epoll()
        self.on = {}
        self.timers = {}
        self.ending = None
        self.oops = None

    def add(self, fd, events, fn):
        self.ep.register(fd, events)
        self.on[fd] = fn

    def modify(self, fd, events):
        self.ep.modify(fd, events)

    def remove(self, fd):
        if self.on.pop(fd, None) is not None:
            try:
                self.ep.unregister(fd)
            except ERRORS:
                pass

    def at(self, key, due, fn):
        """Call fn once at monotonic time due; replaces the timer of that key."""
        self.timers[key] = (due, fn)

    def sooner(self, key, due, fn):
        old = self.timers.get(key)
        if old is None or due < old[0]:
            self.timers[key] = (due, fn)

    def turn(self):
        due = min(t[0] for t in self.timers.values())
        wait = due - mono()
        try:
            events = self.ep.poll(min(max(wait, 0.0), 5.0))
        except ERRORS as e:
            if code_of(e) != errno.EINTR:
                raise
            events = []
        for fd, ev in events:
            fn = self.on.get(fd)
            if fn is not None:
                self.call(fn, ev)
        now = mono()
        for key, (due, fn) in list(self.timers.items()):
            if due <= now and self.timers.get(key, (0, None))[1] is fn:
                del self.timers[key]
                self.call(fn, now)

    def call(self, fn, arg):
        """One part that fails must not end the others: it is reported, and runs again next time."""
        try:
            fn(arg)
        except Exception as e:
            self.oops(e)


class Out(object):
    """Frames waiting to be written to fd 1. Never blocks; callers ask `room()` before they read more."""

    def __init__(self, loop, fd):
        self.loop = loop
        self.fd = fd
        self.n = 0
        self.early = []        # notes of before hello, which must be the first frame
        self.parts = []
        self.size = 0
        self.waiting = False
        self.enc = json.JSONEncoder(separators=(',', ':')).encode

    def room(self):
        return self.size < ROOM

    def frame(self, kind, body, rows=None):
        """Queue one frame; if it is too big, halve the list body[rows] into further frames.

        All but the last of those carry more=1, and only the first keeps `full`.
        """
        body['k'] = kind
        body['n'] = self.n
        body['t'] = round(time.time(), 4)
        line = self.enc(body).encode('ascii') + b'\n'
        if len(line) > MAX_FRAME:
            items = body.get(rows) if rows else None
            if not items or len(items) < 2:
                return self.too_big(kind, body)
            cut = len(items) // 2
            rest = dict(body)
            first = dict(body)
            first[rows] = items[:cut]
            first['more'] = 1
            rest[rows] = items[cut:]
            if 'full' in rest:
                rest['full'] = 0
            for k in ('upd', 'gone'):
                if k in rest:
                    rest[k] = []
            self.frame(kind, first, rows)
            return self.frame(kind, rest, rows)
        self.n += 1
        self.parts.append(line)
        self.size += len(line)
        return True

    def too_big(self, kind, body):
        if kind == 'reply':
            return self.frame('reply', {'id': body['id'], 'error': u'EMSGSIZE answer too big', 'value': None})
        return self.frame('note', {'what': kind, 'path': u'', 'errno': errno.EMSGSIZE, 'text': u'too big to send'})

    def note(self, what, path, code, text=None):
        """Say what can't be seen; an empty text takes it back."""
        body = {'what': what, 'path': path, 'errno': code,
                'text': u'%s' % os.strerror(code) if text is None else text}
        if self.n:
            self.frame('note', body)
        else:
            self.early.append(body)

    def hello(self, body):
        self.frame('hello', body)
        for note in self.early:
            self.frame('note', note)

    def flush(self):
        while self.parts:
            data = b''.join(self.parts)
            try:
                done = os.write(self.fd, data[:1 << 20])
            except ERRORS as e:
                if code_of(e) in AGAIN:
                    self.parts = [data]
                    self.wait(True)
                    return
                self.loop.ending = 'nobody reads'
                return
            self.parts = [data[done:]] if done < len(data) else []
            self.size = len(data) - done
        self.wait(False)

    def wait(self, on):
        if on == self.waiting:
            return
        self.waiting = on
        if on:
            self.loop.add(self.fd, select.EPOLLOUT, lambda ev: None)
        else:
            self.loop.remove(self.fd)


class Child(object):
    """Something that may hang for ever (a dead mount, NSS) done in a forked child with a deadline."""

    reap = []

    def __init__(self, loop, work, done, timeout):
        self.loop = loop
        self.done = done
        self.buf = b''
        self.fd, w = os.pipe()
        try:
            self.pid = os.fork()
        except ERRORS:
            os.close(self.fd)
            os.close(w)
            return done(None)
        if self.pid == 0:
            try:
                for fd in (0, 1, 2):
                    os.close(fd)
                os.write(w, json.dumps(work()).encode('ascii')[:60000])
            finally:
                os._exit(0)
        os.close(w)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_NONBLOCK)
        loop.add(self.fd, select.EPOLLIN, self.readable)
        loop.at(self, mono() + timeout, self.late)

    def readable(self, ev):
        try:
            b = os.read(self.fd, 65536)
        except ERRORS as e:
            if code_of(e) in AGAIN:
                return
            b = b''
        if b:
            self.buf += b
            return
        self.end()
        try:
            value = json.loads(self.buf.decode('ascii'))
        except ValueError:
            value = None
        self.done(value)

    def late(self, now):
        self.end()
        self.done(None)

    def end(self):
        self.loop.timers.pop(self, None)
        self.loop.remove(self.fd)
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ERRORS:
            pass
        Child.reap.append(self.pid)
        Child.collect()

    @staticmethod
    def collect():
        left = []
        for pid in Child.reap:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    left.append(pid)
            except ERRORS:
                pass
        Child.reap = left
