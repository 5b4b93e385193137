"""The command line: what runs, and every error as one sentence on stderr.

Each command lives in `edxconsole/commands/`; `commands/group.py` knows them all. The console itself
opens without click.
Exit status: 0 all well, 1 something is wrong with the cluster, 2 usage or inventory, 3 some host
unreachable, 4 refused, 70 a fault of edxconsole itself, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edxconsole.errors import EdxconsoleError, UsageError
from edxconsole.signals import end_at_once_from_now_on, is_interrupt, take_signals

INTERNAL = 70
INTERRUPTED = 130
PIPE = 141
OUTPUT_LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""what writing to stdout can meet besides a closed pipe"""


def open_console(hosts: Path | None = None, *, read_only: bool = False) -> int:
    """The console, full screen; its exit status. Raises UsageError where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal", remedy="use `edxconsole status` in a pipe or script")
    run_app = importlib.import_module("edxconsole.app").run_app
    return int(run_app(hosts, read_only=read_only))


def main() -> None:
    """Entry point of the `edxconsole` script."""
    _fill_closed_streams()
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    end_at_once_from_now_on()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    raise SystemExit(status)


def _fill_closed_streams() -> None:
    """/dev/null for a standard stream that was closed by who started us.

    Otherwise the first connection would get its number, and our output would go to a host.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def run(arguments: Sequence[str]) -> int:
    """Run a command line to its exit status. Every error becomes one sentence on stderr, here only."""
    try:
        from edxconsole.logfile import start_logging

        start_logging()
        console = _console_only(arguments)
        result = _command(arguments) if console is None else open_console(console[0], read_only=console[1])
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into words
        return _explain(error)


def _console_only(arguments: Sequence[str]) -> tuple[Path | None, bool] | None:
    """--hosts and --read-only of a command line with nothing else; None for all others, and in any doubt."""
    hosts, read_only = None, False
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--read-only":
            read_only = True
        elif word == "--hosts" and left and left[0] and not left[0].startswith("-"):
            hosts = Path(left.pop(0))
        else:
            return None
    return hosts, read_only


def _command(arguments: Sequence[str]) -> object:
    """Run any command line."""
    from edxconsole.commands.group import group

    with group.make_context("edxconsole", list(arguments), obj={"open_console": open_console}) as context:
        take_signals()
        return group.invoke(context)


def _explain(error: BaseException) -> int:
    """One sentence on stderr and the exit status for whatever ended a command."""
    if isinstance(error, BaseExceptionGroup):
        error = _first(error)
    if isinstance(error, EdxconsoleError):
        _say(str(error))
        return error.exit_status
    if is_interrupt(error):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    if isinstance(error, OSError) and error.errno in OUTPUT_LOST and error.filename is None:
        _say(f"the output can't be written: {error.strerror}.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERNAL
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    status = _of_click(error)
    return _crashed(error) if status is None else status


def _of_click(error: BaseException) -> int | None:
    """The exit status of what click raises, shown as click does; None for anything else."""
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    return None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to tell of several errors at once: an interrupt, else one that has words, else any."""
    leaves = [_first(e) if isinstance(e, BaseExceptionGroup) else e for e in group.exceptions]
    for kind in (KeyboardInterrupt, EdxconsoleError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _crashed(error: BaseException) -> int:
    from edxconsole.logfile import record_crash

    path = record_crash(error)
    where = f"the traceback is in {path}" if path else "and the log file can't be written"
    _say(f"something went wrong inside edxconsole ({type(error).__name__}); {where}.")
    return INTERNAL


def _say(sentence: str) -> None:
    """Each line of the sentence on stderr, without what could steer a terminal."""
    from edxconsole.cluster.text import clean_text

    with contextlib.suppress(OSError, ValueError):
        print(f"edxconsole: {clean_text(sentence)}", file=sys.stderr)  # noqa: T201
