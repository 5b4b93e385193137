"""The table, on the terminal and in docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from tests.bench.harness import HEAD, QUIET_SLACK, Row

_PACKAGES = ("textual", "asyncssh", "cryptography", "rich", "pydantic")


def machine() -> list[str]:
    """What it ran on, one fact a line."""
    model = next(
        (x.partition(":")[2].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), "?"
    )
    memory = next((int(x.split()[1]) >> 20 for x in _lines("/proc/meminfo") if x.startswith("MemTotal")), 0)
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return [
        f"{model}, {os.cpu_count()} cores, {memory} GB, Linux {platform.release()}",
        f"Python {platform.python_version()}, {packages}",
        f"{_ssh_version()}; load average {os.getloadavg()[0]:.1f} at the end",
    ]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _ssh_version() -> str:
    return subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.split(",")[0].strip()


def table(rows: Sequence[Row]) -> str:
    """Aligned columns for a terminal; notes below the lines they belong to."""
    cells = [HEAD, *(row.words() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    out = []
    for line, row in zip(cells, [None, *rows], strict=True):
        out.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if row is not None and row.note:
            out.append(f"    {row.note}")
    return "\n".join(out)


def verdicts(rows: Sequence[Row]) -> str:
    """One sentence for the whole run."""
    bounded = [row for row in rows if row.most is not None or row.value is None]
    missed = [row.what for row in bounded if row.verdict != "ok"]
    loops = [row.loop for row in rows if row.loop]
    said = f"{len(bounded) - len(missed)} of {len(bounded)} bounds kept"
    if missed:
        said += f"; not: {'; '.join(missed)}"
    if loops and max(loops) > QUIET_SLACK * min(loops):
        said += f". Others used the machine meanwhile: the loop took {min(loops):.1f} to {max(loops):.1f} ms"
    return said + "."


def document(rows: Sequence[Row], command: str, day: str, modules: Mapping[str, ModuleType]) -> str:
    """docs/benchmarks.md."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Made by `{command}` on {day}; `make bench` prints the same table, "
            "`python -m tests.bench NAME...` a part of it.",
            "",
            *(f"- {line}" for line in machine()),
            "",
            "Each figure is the median of at least three runs (p95 where it says so), interleaved with what "
            "it is compared to. The hosts are real ones of `tests/lab` (own network, processes, sshd) and "
            "share the machine's cores with the console and whatever else ran. `loop ms` is a fixed "
            "pure-Python loop timed around each measure: where it is larger than elsewhere the machine was "
            f"busy. Bounds are for a quiet machine; ratios decide. {verdicts(rows)}",
            "",
            *_markdown(rows),
            "",
            "## How each is measured",
            "",
            *_how(modules),
        ]
    )


def _markdown(rows: Iterable[Row]) -> list[str]:
    lines = [_line(HEAD), _line("---" for _ in HEAD)]
    for row in rows:
        what, *rest = row.words()
        lines.append(_line([f"{what}<br><small>{row.note}</small>" if row.note else what, *rest]))
    return lines


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _how(modules: Mapping[str, ModuleType]) -> list[str]:
    lines = []
    for name, module in modules.items():
        lines += [f"**{name}.** {' '.join(str(module.HOW).split())}", ""]
    return lines
