"""The command line: every command, thin. Each command lives in `edxconsole/commands/`.

A command's module is imported when it runs, so that `--help` and errors of usage cost nothing.
Exit status: 0 all well, 1 something is wrong with the cluster, 2 usage or inventory, 3 some host
unreachable, 4 refused, 70 a fault of edxconsole itself, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import click

from edxconsole import __version__
from edxconsole.errors import EdxconsoleError, UsageError

COMMANDS = {
    "status": ("status", "What runs where, and what is wrong."),
    "ports": ("ports", "Which process listens on which port."),
    "logs": ("logs", "Print or follow logs of any hosts."),
    "supervisor": ("supervisor", "Programs of every supervisord, and what it allows."),
    "restart": ("act", "Restart what a selector names, guarded."),
    "reload": ("act", "Reload what a selector names, guarded."),
    "start": ("act", "Start what a selector names, guarded."),
    "stop": ("act", "Stop what a selector names, guarded."),
    "check": ("check", "Can I reach, see and control each host, and what is missing?"),
    "trust": ("trust", "Show a host's key and pin it."),
    "init": ("init", "Write a hosts.yaml from hosts, ~/.ssh/config or Ansible."),
    "catalog": ("catalog", "What edxconsole knows about each component."),
    "sudoers": ("sudoers", "The least sudo rules for this inventory."),
    "journal": ("journal", "What was changed, when, by whom."),
    "demo": ("demo", "Start the embedded demo cluster and open the console on it."),
    "version": ("version", "Versions of edxconsole and what it stands on."),
}
"""name -> (module in edxconsole.commands, help)"""

INTERNAL = 70
INTERRUPTED = 130
PIPE = 141
OUTPUT_LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""what writing to stdout can meet besides a closed pipe"""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edxconsole.commands.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.{cmd_name} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from edxconsole.yamlwords import suggest

            ctx.fail(f"there is no command {name!r}{suggest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command the console opens. SELECTOR is component[:program]@host-or-group, "
    "e.g. lms@app*, edxapp_worker:*@app1, @data1, nginx.",
)
@click.option(
    "--hosts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The inventory. Default: $EDXCONSOLE_HOSTS, ./hosts.yaml, ~/.config/edxconsole/hosts.yaml.",
)
@click.option("--read-only", is_flag=True, help="Change nothing, whatever is asked: it can't be armed.")
@click.version_option(__version__, "--version", prog_name="edxconsole")
@click.pass_context
def cli(ctx: click.Context, hosts: Path | None, read_only: bool) -> None:
    """A live operations console for Open edX clusters, over plain SSH."""
    opener = partial(open_console, read_only=read_only)
    ctx.obj = {"open_console": opener, "hosts": hosts, "read_only": read_only}
    if ctx.invoked_subcommand is None:
        ctx.exit(opener(hosts))


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
    _end_at_once_from_now_on()
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
        _take_signals()
        from edxconsole.logfile import start_logging

        start_logging()
        with cli.make_context("edxconsole", list(arguments)) as context:
            result = cli.invoke(context)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into words
        return _explain(error)


def _take_signals() -> None:
    """Ctrl-C, SIGTERM and a closed terminal end us alike; what was ignored (nohup) stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def _end_at_once_from_now_on() -> None:
    """Everything is closed: one more Ctrl-C needs no ceremony, and must not become a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that connections are closed and the terminal is given back.

    Whoever listens for Ctrl-C hears it: asyncio.run cancels its main task, where an exception out of
    the blue would end whichever task or callback happens to run.
    """
    ctrl_c = signal.getsignal(signal.SIGINT)
    if not callable(ctrl_c):
        raise KeyboardInterrupt
    ctrl_c(signal.SIGINT, frame)


def _explain(error: BaseException) -> int:
    """One sentence on stderr and the exit status for whatever ended a command."""
    if isinstance(error, BaseExceptionGroup):
        error = _first(error)
    if isinstance(error, EdxconsoleError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    if isinstance(error, OSError) and error.errno in OUTPUT_LOST and error.filename is None:
        _say(f"the output can't be written: {error.strerror}.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERNAL
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return _crashed(error)


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
