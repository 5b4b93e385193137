"""Inspections as the engine gives them, with everything that can be in one. Fixed in time."""

from __future__ import annotations

from edxconsole.cluster.model import State
from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table, Value
from tests.tui.snapshots import NOW

DUMP = "nginx -T"
LONG = "/edx/app/edxapp/venvs/edxapp/bin/gunicorn -c /edx/app/edxapp/lms_gunicorn.py " + " ".join(
    f"--option-{n}=value-{n}" for n in range(14)
)


def _member(upstream: str, member: str, state: str, settings: str | None) -> dict[str, Value]:
    return {"upstream": upstream, "member": member, "state": state, "settings": settings}


NGINX = Inspection(
    host="web",
    component="nginx",
    at=NOW,
    findings=(
        Finding(State.DOWN, "no member of the upstream cms-backend accepts connections: Studio answers 502"),
        Finding(State.DEGRADED, "configured but not listened on: 18091; a reload that failed?"),
    ),
    sections=(
        Section(
            "processes",
            (
                Fact("master_pid", 812, "process table"),
                Fact("master_user", "root", "process table"),
                Fact("workers", 4, "process table"),
                Fact("started_at", NOW - 90_000, "process table"),
            ),
        ),
        Section(
            "configuration",
            (
                Fact("passes", True, "nginx -t"),
                Fact("says", None, "nginx -t"),
                Fact("warnings", 0, "nginx -t"),
            ),
        ),
        Section(
            "upstreams",
            (),
            (
                Table(
                    "members",
                    ("upstream", "member", "state", "settings"),
                    (
                        _member("lms-backend", "app1:8000", "accepts", ""),
                        _member("lms-backend", "app2:8000", "accepts", ""),
                        _member("cms-backend", "app1:8010", "refused", None),
                    ),
                    f"{DUMP}, connect",
                ),
            ),
        ),
        Section(
            "answers",
            (Fact("log_bytes", 73_400_320, "stat"), Fact("share_5xx_percent", 1.25, "end of the log")),
            (
                Table(
                    "status_codes",
                    ("log", "2xx", "3xx", "4xx", "5xx", "since", "until"),
                    (
                        {
                            "log": "/edx/var/log/nginx/access.log", "2xx": 18_204, "3xx": 311, "4xx": 92,
                            "5xx": 17, "since": "2026-11-23 09:11:02", "until": "2026-11-23 09:41:11",
                        },
                    ),
                    "end of the log",
                    3,
                ),
                Table("slow_answers", ("path", "took_seconds"), (), "end of the log"),
            ),
        ),
    ),
    missing=(
        Missing(
            "errors", "/edx/var/log/nginx/error.log may not be read by ops",
            "add the sudoers rule of `edxconsole sudoers`",
        ),
    ),
)  # fmt: skip


def _worker(number: int) -> dict[str, Value]:
    return {
        "role": "master" if number == 0 else "worker", "pid": 4242 + number, "user": "www-data",
        "cpu_percent": 0.5 * number, "memory_bytes": 210_000_000, "threads": 1, "started_seconds": 10_800,
        "state": "S", "command": LONG,
    }  # fmt: skip


LMS = Inspection(
    host="app1",
    component="lms",
    at=NOW,
    sections=(
        Section(
            "settings",
            (
                Fact("bind", "127.0.0.1:8000", "/edx/app/edxapp/lms_gunicorn.py"),
                Fact("timeout_seconds", 300, "/edx/app/edxapp/lms_gunicorn.py"),
                Fact("command", LONG, "process table"),
                Fact("preload", None, "/edx/app/edxapp/lms_gunicorn.py"),
            ),
        ),
        Section(
            "processes",
            (),
            (
                Table(
                    "processes",
                    tuple(_worker(0)),
                    tuple(_worker(n) for n in range(41)),
                    "process table",
                ),
            ),
        ),
    ),
)  # fmt: skip
"""more rows than any screen has lines"""
