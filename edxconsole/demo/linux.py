"""The Linux system calls that namespaces need and Python 3.11 lacks, through libc.

Every function raises `OSError` with the kernel's errno. Numbers are from `linux/sched.h`, `linux/mount.h`,
`linux/prctl.h`, `linux/capability.h` and `linux/nsfs.h`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_NS_GET_USERNS = 0xB701
_SYS_MOUNT_SETATTR = 442
"""the same number on every architecture (Linux 5.12)"""
_MOUNT_ATTR_RDONLY = 1
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the shared namespaces in `flags`. NEWUSER needs a process with a single thread (else EINVAL)."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(fd: int, kind: int = 0) -> None:
    """Join the namespace that `fd` (an open /proc/PID/ns/*) stands for."""
    _check(_libc.setns(fd, kind), "setns")


def owning_userns(fd: int) -> int:
    """Return an open fd of the user namespace that owns the namespace `fd`. The caller closes it."""
    return fcntl.ioctl(fd, _NS_GET_USERNS)


def mount(
    source: str | Path, target: str | Path, kind: str | None = None, flags: int = 0, data: str = ""
) -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        f"mount {kind or 'bind'} on {target}",
    )


def umount(target: str | Path) -> None:
    """Detach a mount at once, busy or not."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def make_read_only(target: str | Path) -> None:
    """Make a mount and everything mounted below it read-only (mount_setattr, Linux 5.12)."""
    attr = _MountAttr(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attr),
        ctypes.c_size_t(ctypes.sizeof(attr)),
    )
    _check(result, f"mount_setattr {target}")


def pivot_root(new_root: str | Path, put_old: str | Path) -> None:
    """Make `new_root` the root of this mount namespace, the old one reachable at `put_old`."""
    _check(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)), "pivot_root")


def sethostname(name: str) -> None:
    """Name this UTS namespace."""
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def _prctl(option: int, *args: int) -> None:
    padded = [*args, 0, 0, 0, 0][:4]
    _check(_libc.prctl(option, *(ctypes.c_ulong(a) for a in padded)), f"prctl({option})")


def die_with_parent(signal: int = 9) -> None:
    """Have the kernel send `signal` to this process when the thread that made it ends.

    A fork and a change of credentials clear it, so it is called again after each.
    """
    _prctl(_PR_SET_PDEATHSIG, signal)


def die_with(parent: int) -> None:
    """As `die_with_parent`, and end at once if `parent` ended before this process could ask for it."""
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def set_dumpable() -> None:
    """Let other processes of the same user open this one's /proc/PID/ns."""
    _prctl(_PR_SET_DUMPABLE, 1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_process_name(name: str) -> None:
    """Set what /proc/PID/comm says (the kernel keeps 15 bytes)."""
    _check(_libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0), "prctl(PR_SET_NAME)")


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def keep_capabilities_over_exec() -> None:
    """Raise every permitted capability into the inheritable and ambient sets.

    In a user namespace where our uid is not 0, exec would drop them all otherwise.
    """
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    _check(_libc.capget(ctypes.byref(header), data), "capget")
    for word in data:
        word.inheritable = word.permitted
    _check(_libc.capset(ctypes.byref(header), data), "capset")
    for capability in range(64):
        if data[capability // 32].permitted & (1 << capability % 32):
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def map_single_id(inside_uid: int, inside_gid: int, outside_uid: int, outside_gid: int) -> None:
    """Write the id maps of a user namespace just made: one uid and one gid, which needs no privilege."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside_uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside_gid} {outside_gid} 1")
