"""Celery's workers as their processes show them: queues, concurrency and node name of their argv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edxconsole.catalog.argv import options, read_argv
from edxconsole.cluster.model import Process
from edxconsole.numerals import natural

MAX_QUEUES = 50
FORKS = "prefork"
"""Celery's usual pool"""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker: its main process and how many of a pool it has."""

    main: Process
    pool: int
    queues: tuple[str, ...]
    concurrency: int | None
    """as told; None: as many as the host has cores"""
    forks: bool
    """whether its pool is of processes"""
    node: str
    """the name under which it answers, "" where the host's name is not known"""


def find_workers(
    processes: Sequence[Process],
    hostname: str,
    *,
    everyone: Iterable[Process] = (),
    inside: Mapping[int, str] | None = None,
) -> list[Worker]:
    """The workers among the processes of a component, in the order they were started.

    Args:
        hostname: of the host.
        everyone: all processes of the host, where those of the component are not all that a worker started.
        inside: first process of a container -> the hostname in there.
    """
    own = [p for p in processes if _is_worker(p.argv)]
    pids = {p.pid for p in own}
    mains = [p for p in own if p.ppid not in pids]
    names = inside or {}
    all_workers = {p.pid: p for p in (*own, *(p for p in everyone if _is_worker(p.argv)))}
    return [
        _worker(p, all_workers.values(), names.get(p.pid) or names.get(p.ppid) or hostname) for p in mains
    ]


def _is_worker(argv: Sequence[str]) -> bool:
    said = read_argv(argv)
    return said is not None and said.kind == "celery"


def _worker(main: Process, own: Iterable[Process], hostname: str) -> Worker:
    # A process that titled itself has its arguments in parentheses: "[celeryd: NODE] -active- (worker -Q q)".
    words = [word.strip("()") for word in main.argv]
    told = dict(options(words))
    queues = told.get("--queues") or told.get("-Q") or told.get("--queue") or ""
    count = told.get("--concurrency") or told.get("-c") or ""
    name = told.get("--hostname") or told.get("-n") or ""
    return Worker(
        main,
        pool=sum(p.ppid == main.pid for p in own),
        queues=tuple(dict.fromkeys(q for q in queues.split(",") if q))[:MAX_QUEUES],
        concurrency=natural(count, 5),
        forks=(told.get("--pool") or told.get("-P") or FORKS) == FORKS,
        node=node_name(name, hostname),
    )


def node_name(name: str, hostname: str) -> str:
    """What Celery makes of --hostname on a host (celery/utils/nodenames.py); "" where that can't be told.

    >>> node_name("edx.lms.core.default.%h", "app1")
    'celery@edx.lms.core.default.app1'
    """
    if not hostname:
        return ""
    short, _, domain = hostname.partition(".")
    for mark, value in (("%h", hostname), ("%n", short), ("%d", domain)):
        name = name.replace(mark, value)
    if "%" in name:
        return ""
    first, at, rest = (name or hostname).rpartition("@")
    return f"{first if at and first else 'celery'}@{rest or hostname}"
