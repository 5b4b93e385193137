"""The command line: every command, thin. Each command lives in `edxconsole/commands/`."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `edxconsole` script."""
    raise SystemExit(2)
