"""The options that commands share, and how their work is run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

DEFAULT_TIMEOUT = 15.0


def hosts_option(command: F) -> F:
    """--hosts FILE, after the command as well as before it."""
    return click.option(
        "--hosts", type=click.Path(path_type=Path), metavar="FILE", help="The inventory to use."
    )(command)


def json_option(command: F) -> F:
    """--json: one JSON document of schema edxconsole/1 (docs/json.md)."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/json.md).")(command)


def timeout_option(command: F) -> F:
    """--timeout SECONDS."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0.5, 600),
        default=DEFAULT_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the slowest host.",
    )(command)


def reading(command: F) -> F:
    """What every command that reads a cluster takes: --json, --hosts, --timeout."""
    return json_option(hosts_option(timeout_option(command)))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end; Ctrl-C cancels it and closes its connections."""
    return asyncio.run(work)
