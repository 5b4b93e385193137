"""Snapshots as the plain data of --json. The shapes are documented in docs/json.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edxconsole.cluster.model import HostSnapshot, Instance, Listener, Problem, SupervisorInfo
from edxconsole.cluster.running import processes_of, users_of
from edxconsole.cluster.units import Unit


def host_json(host: HostSnapshot) -> dict[str, Any]:
    """A host without what runs on it."""
    vitals = host.vitals
    return {
        "name": host.name,
        "link": host.link.value,
        "reason": host.reason,
        "since": host.since,
        "trusted": host.trusted,
        "address": host.address,
        "user": host.user,
        "transport": host.transport,
        "hostname": host.hostname,
        "kernel": host.kernel,
        "python": host.python,
        "groups": list(host.groups),
        "rtt_seconds": host.rtt,
        "clock_skew_seconds": host.skew,
        "vitals": None
        if vitals is None
        else {
            "load": list(vitals.load),
            "cpu": vitals.cpu,
            "cores": vitals.cores,
            "memory_kib": {"total": vitals.mem_total, "available": vitals.mem_available},
            "swap_kib": {"total": vitals.swap_total, "free": vitals.swap_free},
            "disks": [
                {"mount": d.mount, "total_kib": d.total, "free_kib": d.free, "inodes_free": d.inodes_free}
                for d in vitals.disks
            ],
        },
        "notes": list(host.notes),
    }


def instance_json(instance: Instance, host: HostSnapshot, logs: Sequence[str]) -> dict[str, Any]:
    """One component on one host, with its evidence. `logs` are the files that are known of it."""
    running = processes_of(host, instance)
    return {
        "component": instance.component,
        "host": instance.host,
        "state": instance.state.value,
        "reason": instance.reason,
        "since": instance.since,
        "expected": instance.expected,
        "units": list(instance.units),
        "pids": list(instance.pids),
        "users": list(users_of(running)),
        "ports": list(instance.ports),
        "workers": {"expected": instance.workers_expected, "found": instance.workers_found},
        "evidence": [
            {
                "source": e.source,
                "state": e.state.value,
                "text": e.text,
                "at": e.age.at,
                "every_seconds": e.every,
            }
            for e in instance.evidence
        ],
        "logs": list(logs),
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    """One thing to look at; `component` is "" for the host itself."""
    return {
        "host": problem.host,
        "component": problem.component,
        "state": problem.state.value,
        "text": problem.text,
        "since": problem.since,
    }


def listener_json(host: str, listener: Listener) -> dict[str, Any]:
    """One listening socket; `how` says how its owner is known: owner, unit, guess or none."""
    return {
        "host": host,
        "proto": listener.proto,
        "address": listener.address,
        "port": listener.port,
        "user": listener.user,
        "pid": listener.pid,
        "process": listener.process,
        "component": listener.component,
        "how": listener.how,
    }


def unit_json(host: str, unit: Unit, component: str) -> dict[str, Any]:
    """One program or service."""
    return {
        "host": host,
        "manager": unit.manager,
        "name": unit.name,
        "component": component,
        "state": unit.health.value,
        "word": unit.word,
        "pid": unit.identity.pid,
        "since": unit.since,
        "detail": unit.detail,
        "logs": list(unit.log_paths),
    }


def container_json(host: str, unit: Unit, component: str) -> dict[str, Any]:
    """One container of a compose project: a unit, and what Docker tells beside its state."""
    told = unit.container
    return {
        **unit_json(host, unit, component),
        "container": None
        if told is None
        else {
            "id": told.id,
            "image": told.image,
            "status": told.status,
            "health": told.health,
            "exit_code": told.exit_code,
            "oom_killed": told.oom_killed,
            "restarts": told.restarts,
            "restart_policy": told.policy,
        },
    }


def supervisor_json(host: str, info: SupervisorInfo) -> dict[str, Any]:
    """One supervisord, without its programs."""
    return {
        "host": host,
        "id": info.id,
        "config": info.config,
        "endpoint": info.endpoint,
        "owner": info.owner,
        "version": info.version,
        "word": info.word,
        "pid": info.identity.pid,
        "error": info.error,
    }
