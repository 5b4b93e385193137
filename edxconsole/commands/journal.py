"""`edxconsole journal`: what was done to hosts from this machine, and whether the record is whole."""

from __future__ import annotations

import json
from typing import Any

import click

from edxconsole.cluster.text import clean_line
from edxconsole.errors import JournalError
from edxconsole.plans.journal import Journal
from edxconsole.settings import state_dir

MAX_LINE = 400


@click.command()
@click.option("--verify", is_flag=True, help="Walk the hash chain; exit 4 when it is broken.")
@click.option("--json", "as_json", is_flag=True, help="One record a line, as written.")
@click.option("--plan", "plan_id", help="Only this plan.")
@click.option("--host", help="Only this host.")
@click.option("-n", "--last", type=click.IntRange(min=1), default=50, show_default=True, help="How many.")
def journal(verify: bool, as_json: bool, plan_id: str | None, host: str | None, last: int) -> None:
    """Show the journal of acts, oldest first."""
    book = Journal(state_dir())
    if verify:
        _verify(book, as_json)
        return
    wanted = [
        r
        for r in book.records()
        if (plan_id is None or r.get("plan") == plan_id) and (host is None or r.get("host") == host)
    ]
    for record in wanted[-last:]:
        click.echo(json.dumps(record) if as_json else _line(record))
    if not wanted and not as_json:
        click.echo("the journal holds no such record" if plan_id or host else "nothing was done yet")


def _verify(book: Journal, as_json: bool) -> None:
    verdict = book.verify()
    if as_json:
        body = {"schema": "edxconsole/1", "kind": "journal", "path": str(book.path), "ok": verdict.ok}
        click.echo(
            json.dumps({**body, "records": verdict.records, "fault": verdict.fault, "line": verdict.line})
        )
    if not verdict.ok:
        raise JournalError(
            f"{book.path} line {verdict.line}: {verdict.fault}",
            remedy=f"the {verdict.records} records before are whole; keep the file and ask who wrote to it",
        )
    if not as_json:
        click.echo(f"{verdict.records} records, the chain is whole ({book.path})")


def _line(record: dict[str, Any]) -> str:
    actor = record.get("actor", {}).get("local", "?")
    where = " ".join(str(record[k]) for k in ("verb", "unit", "host") if record.get(k))
    said = record.get("cmd") or record.get("why") or record.get("detail") or record.get("text") or ""
    stamp = str(record.get("ts", "?"))[:19].replace("T", " ")
    plan, event = record.get("plan", "?"), record.get("ev", "?")
    return clean_line(f"{stamp}  {actor:<10} {plan}  {event:<16} {where}  {said}".rstrip(), MAX_LINE)
