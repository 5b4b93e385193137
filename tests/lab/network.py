"""The network that test hosts hang on: a namespace of this test process alone, with one bridge.

Nothing in it has a name that another test process could see, and all of it goes when we end. As
an ordinary user the same is done in user namespaces: hosts then have one user and no sudo.
"""

from __future__ import annotations

import itertools
import os

from edxconsole.demo import linux
from edxconsole.demo.namespaces import Mode, Net
from tests.lab import needs

NETWORK = "10.77"

_net: Net | None = None
_numbers = itertools.count(1)


def mode() -> Mode:
    """How hosts are made by this user."""
    return Mode.ROOT if needs.is_root() else Mode.USER


def prepare() -> None:
    """As an ordinary user, own a user namespace. Called once, while there is a single thread.

    The workers of pytest-xdist inherit it: they have threads, and could not make one.
    """
    if mode() is Mode.ROOT or os.environ.get("PYTEST_XDIST_WORKER") or needs.missing("namespaces"):
        return
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.CLONE_NEWUSER)
    linux.map_single_id(uid, gid, uid, gid)
    linux.keep_capabilities_over_exec()


def enter() -> Net:
    """Move this thread, and what it starts from now on, into a network of its own. Idempotent."""
    global _net
    if _net is None:
        _net = Net.enter(Mode.ROOT, NETWORK)
        _net.mode = mode()
    return _net


def address() -> str:
    """An address no host of this process has had yet."""
    number = next(_numbers)
    return f"{NETWORK}.{1 + number // 250}.{number % 250 + 1}"
