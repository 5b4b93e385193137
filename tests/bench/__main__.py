"""`python -m tests.bench [--write] [NAME...]`: measure, print the table. `make bench` is this."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.harness import Row, calibrate
from tests.bench.measures import MEASURES
from tests.bench.report import document, machine, table, verdicts
from tests.bench.stage import Stage

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def main(arguments: Sequence[str]) -> int:
    """0 when every bound was kept, 1 when one was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASURES)}; default all")
    parser.add_argument("--write", action="store_true", help="also write docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(MEASURES):
        parser.error(f"no measure is called {', '.join(sorted(unknown))}")
    chosen = options.names or list(MEASURES)
    command = " ".join(["python -m tests.bench", *arguments])
    rows = measure_all(chosen)
    print("\n".join(["", command, *machine(), "", table(rows), "", verdicts(rows)]))
    if options.write:
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        chapters = {name: MEASURES[name] for name in chosen}
        DOCUMENT.write_text(document(rows, command, day, chapters))
    return int(any(row.verdict in ("MISSED", "not measured") for row in rows))


def measure_all(names: Sequence[str]) -> list[Row]:
    """Each measure on hosts of its own, told on stderr as it goes."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="edxbench-") as folder:
        stage = Stage(Path(folder))
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            before = calibrate()
            found = list(MEASURES[name].measure(stage))
            loop = (before + calibrate()) / 2
            rows += [row.timed(loop) for row in found]
            print(table([row.timed(loop) for row in found]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
