"""`edxconsole demo`: the embedded cluster, opened in the console, headless, or broken on purpose."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

_ALL = "all"


def _list_breaks(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from edxconsole.demo.launch import BREAKS

    width = max(map(len, BREAKS))
    for name, description in BREAKS.items():
        click.echo(f"{name:<{width}}  {description}")
    context.exit()


@click.command()
@click.option(
    "--headless", is_flag=True, help="Start it, print the path of its hosts.yaml, stay until Ctrl-C."
)
@click.option("--stop", is_flag=True, help="End a running demo, or what is left of one.")
@click.option("--break", "break_name", metavar="NAME", help="Inject a failure into the running demo.")
@click.option(
    "--mend", "mend_name", metavar="[NAME]", is_flag=False, flag_value=_ALL, help="End one failure, or all."
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_breaks,
    help="List the failures.",
)
@click.pass_context
def demo(
    context: click.Context, headless: bool, stop: bool, break_name: str | None, mend_name: str | None
) -> None:
    """Try the console on a small Open edX cluster that runs inside this program.

    Four hosts with real SSH, supervisor, gunicorn, Celery and nginx; no root, no Docker. It ends with the
    console and leaves nothing behind.
    """
    chosen = [headless, stop, break_name is not None, mend_name is not None]
    if sum(chosen) > 1:
        raise click.UsageError("choose one of --headless, --stop, --break and --mend")
    from edxconsole.demo import launch

    if stop:
        click.echo("The demo cluster has ended." if launch.stop() else "No demo cluster was running.")
    elif break_name is not None:
        launch.break_(break_name)
        click.echo(f"Broken: {launch.BREAKS[break_name]}. Mend it with: edxconsole demo --mend {break_name}")
    elif mend_name is not None:
        mended = launch.mend(None if mend_name == _ALL else mend_name)
        click.echo(f"Mended: {', '.join(mended)}." if mended else "Nothing was broken.")
    elif headless:
        sys.exit(launch.headless())
    else:
        sys.exit(launch.run_console(_opener(context)))


def _opener(context: click.Context) -> Callable[[Path], int]:
    """What opens the console, from `ctx.obj["open_console"]`: cli.py puts it there; it stands above us."""
    opener = (context.find_root().obj or {}).get("open_console")
    if opener is None:
        raise click.UsageError("this edxconsole has no console to open; use --headless")
    return opener  # type: ignore[no-any-return]
