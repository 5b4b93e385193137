"""All commands and what is common to them, as click reads a command line.

A command's module is imported when it runs, so that `--help` and errors of usage cost nothing. What
opens the console stands above us: the context's `obj["open_console"]` has it.
"""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import click

from edxconsole import __version__

COMMANDS = {
    "status": ("status", "What runs where, and what is wrong."),
    "ports": ("ports", "Which process listens on which port."),
    "logs": ("logs", "Print or follow logs of any hosts."),
    "health": ("health", "Ask every health check now; --extended: the costly ones as well."),
    "inspect": ("inspect", "Open a component up: what it is made of, told and found."),
    "drift": ("drift", "What differs between hosts that should be the same."),
    "discover": ("discover", "How each host was installed, what runs there, whom its files name."),
    "supervisor": ("supervisor", "Programs of every supervisord, and what it allows."),
    "restart": ("act", "Restart what a selector names, guarded."),
    "reload": ("act", "Reload what a selector names, guarded."),
    "start": ("act", "Start what a selector names, guarded."),
    "stop": ("act", "Stop what a selector names, guarded."),
    "check": ("check", "Can I reach, see and control each host, and what is missing?"),
    "trust": ("trust", "Show a host's key and pin it."),
    "init": ("init", "Write a hosts.yaml from what is found on hosts, ~/.ssh/config or Ansible."),
    "catalog": ("catalog", "What edxconsole knows about each component."),
    "sudoers": ("sudoers", "The least sudo rules for this inventory."),
    "journal": ("journal", "What was changed, when, by whom."),
    "demo": ("demo", "Start the embedded demo cluster and open the console on it."),
    "version": ("version", "Versions of edxconsole and what it stands on."),
}
"""name -> (module in edxconsole.commands, help)"""


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
def group(ctx: click.Context, hosts: Path | None, read_only: bool) -> None:
    """A live operations console for Open edX clusters, over plain SSH."""
    opener = partial(ctx.obj["open_console"], read_only=read_only)
    ctx.obj = {"open_console": opener, "hosts": hosts, "read_only": read_only}
    if ctx.invoked_subcommand is None:
        ctx.exit(opener(hosts))
