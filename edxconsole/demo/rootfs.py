"""Build the root directory of a namespaced host and move into it.

Both kinds live on one tmpfs of bounded size, so a host can't fill the machine's memory and "disk full" is
real. In a user namespace an overlay of / is refused (its submounts are locked), so there the root is put
together from binds of the machine's directories; root gets an overlay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from edxconsole.demo import linux
from edxconsole.demo.hostspec import Bind, HostSpec, Mode

USER_UID = 1000
USER_NAME = "ops"

_STAGES = ("/mnt", "/media", "/srv", "/boot", "/opt")
"""directories of the machine that nobody needs while the root is built; the tmpfs is mounted over one"""
_ETC_FILES = (
    "ld.so.cache",
    "ld.so.conf",
    "nsswitch.conf",
    "localtime",
    "mime.types",
    "os-release",
    "services",
    "protocols",
)
_ETC_TREES = ("ssl", "alternatives", "terminfo")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEV_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def enter_new_root(spec: HostSpec, mode: Mode) -> None:
    """Build the root of `spec` and make it this process's root. Needs mount and pid namespaces of its own."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    stage = Path(next(s for s in _STAGES if os.path.isdir(s)))
    linux.mount("tmpfs", stage, "tmpfs", 0, f"size={spec.size_mib}m,mode=755")
    root = _overlay_root(spec, stage) if mode is Mode.ROOT else _bound_root(spec, stage)
    _mount_kernel_trees(root, mode)
    for bind in spec.binds:
        _bind(bind, root)
    _write_files(spec, root)
    _change_root(root)


def _overlay_root(spec: HostSpec, stage: Path) -> Path:
    upper, work, root = stage / "upper", stage / "work", stage / "root"
    for directory in (upper, work, root):
        directory.mkdir(mode=0o755)
    options = f"lowerdir={spec.lower},upperdir={upper},workdir={work}"
    linux.mount("overlay", root, "overlay", 0, options)
    linux.mount("tmpfs", root / "run", "tmpfs", 0, "mode=755")
    linux.mount("tmpfs", root / "tmp", "tmpfs", 0, "mode=1777,size=64m")
    (root / "run/sshd").mkdir()
    return root


def _bound_root(spec: HostSpec, root: Path) -> Path:
    for directory in ("usr", "proc", "sys", "dev", "run", "tmp", "etc", "var/log", "var/lib", "root"):
        (root / directory).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")
    (root / "home" / USER_NAME).mkdir(parents=True)
    _bind(Bind(spec.usr, "/usr"), root)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        source = Path("/", name)
        if source.is_symlink():
            (root / name).symlink_to(os.readlink(source))
        elif source.is_dir():
            _bind(Bind(str(source), f"/{name}"), root)
    _copy_etc(root / "etc")
    linux.mount("tmpfs", root / "tmp", "tmpfs", 0, "size=64m,mode=1777")
    return root


def _copy_etc(etc: Path) -> None:
    for name in _ETC_FILES:
        with contextlib.suppress(OSError):
            shutil.copy(Path("/etc", name), etc / name)
    for name in _ETC_TREES:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(
                source, etc / name, symlinks=True, ignore_dangling_symlinks=True, ignore=_unreadable
            )
    # No group "tty" here: sshd would chown the pty to gid 5, which is not mapped, and close the session.
    (etc / "group").write_text(f"root:x:0:\n{USER_NAME}:x:{USER_UID}:\n")
    (etc / "passwd").write_text(
        f"root:x:0:0:root:/root:/bin/bash\n{USER_NAME}:x:{USER_UID}:{USER_UID}:operator:/home/{USER_NAME}:/bin/bash\n"
    )


def _unreadable(directory: str, names: list[str]) -> list[str]:
    return [n for n in names if not os.access(os.path.join(directory, n), os.R_OK)]


def _mount_kernel_trees(root: Path, mode: Mode) -> None:
    linux.mount("proc", root / "proc", "proc")
    # Some containers mask parts of /sys; the host then simply has none.
    with contextlib.suppress(OSError):
        linux.mount("sysfs", root / "sys", "sysfs", linux.MS_RDONLY)
    dev = root / "dev"
    linux.mount("tmpfs", dev, "tmpfs", 0, "mode=755,size=1m")
    for directory in ("pts", "shm"):
        (dev / directory).mkdir()
    tty_group = ",gid=5" if mode is Mode.ROOT else ""
    linux.mount("devpts", dev / "pts", "devpts", 0, f"newinstance,ptmxmode=0666,mode=620{tty_group}")
    linux.mount("tmpfs", dev / "shm", "tmpfs", 0, "mode=1777,size=64m")
    for device in _DEVICES:
        (dev / device).touch()
        linux.mount(f"/dev/{device}", dev / device, None, linux.MS_BIND)
    for link, target in _DEV_LINKS.items():
        (dev / link).symlink_to(target)


def _bind(bind: Bind, root: Path) -> None:
    target = root / bind.target.lstrip("/")
    if os.path.isdir(bind.source):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    linux.mount(bind.source, target, None, linux.MS_BIND | linux.MS_REC)
    if not bind.writable:
        linux.make_read_only(target)


def _write_files(spec: HostSpec, root: Path) -> None:
    hosts = {"localhost": "127.0.0.1", **spec.neighbours, spec.name: spec.address}
    (root / "etc/hostname").write_text(spec.name + "\n")
    (root / "etc/hosts").write_text("".join(f"{a} {n}\n" for n, a in hosts.items()))
    for directory in spec.directories:
        (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for file in spec.files:
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)
    for link, target in spec.links.items():
        path = root / link.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _change_root(root: Path) -> None:
    os.chdir(root)
    old = Path(".old-root")
    old.mkdir()
    linux.pivot_root(".", old)
    os.chdir("/")
    # umount(8) would look for an fstab entry when the effective uid is not 0.
    linux.umount("/.old-root")
    Path("/.old-root").rmdir()
