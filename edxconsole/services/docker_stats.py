"""What a container uses, out of Docker's /containers/ID/stats. Pure.

CPU and memory are computed as `docker stats` does (docker/cli, command/container/stats_helpers.go).
"""

from __future__ import annotations

from dataclasses import dataclass

from edxconsole.services.docker_units import Json, as_map

NO_LIMIT = 1 << 60
"""bytes above which a limit of cgroup v1 means none"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses; None is what is not told (it does not run, or its cgroup lacks it)."""

    cpu: float | None = None
    """percent of one core"""
    memory: int | None = None
    """bytes, without the page cache that can be given back"""
    memory_limit: int | None = None
    """bytes; the host's memory where it has no limit of its own"""
    pids: int | None = None


def to_usage(told: Json) -> Usage:
    """From the answer to stream=false, which has two readings of the CPU; Usage() when it has none."""
    memory = as_map(told.get("memory_stats"))
    used, limit = _count(memory, "usage"), _count(memory, "limit")
    details = as_map(memory.get("stats"))
    idle = _count(details, "total_inactive_file")
    idle = idle if idle is not None else _count(details, "inactive_file")
    return Usage(
        cpu=_cpu(as_map(told.get("cpu_stats")), as_map(told.get("precpu_stats"))),
        memory=used - idle if used is not None and idle is not None and idle < used else used,
        memory_limit=limit if limit is not None and limit < NO_LIMIT else None,
        pids=_count(as_map(told.get("pids_stats")), "current"),
    )


def _cpu(now: Json, before: Json) -> float | None:
    own = _count(as_map(now.get("cpu_usage")), "total_usage")
    was = _count(as_map(before.get("cpu_usage")), "total_usage")
    host, host_was = _count(now, "system_cpu_usage"), _count(before, "system_cpu_usage")
    if own is None or was is None or host is None or host_was is None or host <= host_was or own < was:
        return None
    cores = _count(now, "online_cpus") or len(_list(as_map(now.get("cpu_usage")).get("percpu_usage"))) or 1
    return round((own - was) / (host - host_was) * cores * 100, 2)


def _count(told: Json, key: str) -> int | None:
    value = told.get(key)
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64
    return value if fits and isinstance(value, int) else None


def _list(told: object) -> list[object]:
    return told if isinstance(told, list) else []
