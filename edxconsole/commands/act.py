"""`edxconsole restart | reload | start | stop SELECTOR`: print the plan, ask, run it, say how it went."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edxconsole.commands.prompting import TerminalPrompter
from edxconsole.errors import NotConfirmed, UsageError
from edxconsole.plans.arming import locked
from edxconsole.plans.model import GateResult, Plan, PlanEvent, PlanState, StepState
from edxconsole.plans.planner import phrase
from edxconsole.services.base import Verb

if TYPE_CHECKING:
    from edxconsole.engine import Engine

SCHEMA = "edxconsole/1"
SETTLE = 20.0
"""seconds allowed for connecting to the hosts the selector names"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    verb: Verb
    selector: str
    hosts: Path | None
    plan_only: bool
    yes: bool
    reason: str
    as_json: bool

    def check(self) -> None:
        """Raise UsageError for a combination that makes no sense."""
        if self.yes and not self.reason:
            raise UsageError("--yes needs --reason", remedy='say why, e.g. --reason "deploy 1234"')


def _command(verb: Verb, text: str) -> click.Command:
    @click.command(verb.value, help=text)
    @click.argument("selector")
    @click.option("--plan", "plan_only", is_flag=True, help="Print the plan and stop; nothing is changed.")
    @click.option("--yes", is_flag=True, help="Don't ask; needs --reason.")
    @click.option("--reason", default="", help="Why, for the journal.")
    @click.option("--json", "as_json", is_flag=True, help="Events as JSON lines.")
    @click.option("--hosts", type=click.Path(path_type=Path), help="The hosts.yaml to use.")
    def command(selector: str, **options: Any) -> None:
        wish = Wish(verb, selector, **options)
        wish.check()
        if not wish.plan_only and (click.get_current_context().find_root().obj or {}).get("read_only"):
            raise locked()
        click.get_current_context().exit(asyncio.run(_act(wish)))

    return command


start = _command(Verb.START, "Start what SELECTOR names, e.g. lms@app1, and wait until it is healthy.")
stop = _command(Verb.STOP, "Stop what SELECTOR names and wait until it is stopped and its ports closed.")
restart = _command(
    Verb.RESTART, "Restart what SELECTOR names, one after the other, halting at the first failure."
)
reload = _command(
    Verb.RELOAD, "Reload what SELECTOR names, in the way its kind reloads (edxconsole catalog)."
)


async def _act(wish: Wish) -> int:
    from edxconsole.commands.opening import open_engine

    async with open_engine(wish.hosts, [wish.selector]) as engine:
        await engine.wait_settled(SETTLE)
        plan = await engine.draft(wish.verb, wish.selector, reason=wish.reason)
        _show_plan(plan, wish.as_json)
        if wish.plan_only:
            return 0
        if not wish.yes:
            await _confirm(plan)
        return await _run(engine, plan, wish.as_json)


async def _run(engine: Engine, plan: Plan, as_json: bool) -> int:
    engine.arm(sum(s.deadline + s.gate_deadline for s in plan.steps) + 60)
    try:
        state = await engine.run_plan(
            plan, confirmation=plan.digest, on_event=lambda event: _show_event(plan, event, as_json)
        )
    finally:
        engine.disarm()
    return 0 if state is PlanState.DONE else 1


async def _confirm(plan: Plan) -> None:
    """Ask on the terminal. Raises NotConfirmed without one, or for any other answer."""
    if not sys.stdin.isatty():
        raise NotConfirmed("there is no terminal to confirm on", remedy='use --yes --reason "why"')
    if plan.environment == "production":
        wanted = {phrase(plan)}
        question = f"This is production. Type `{phrase(plan)}` to go on: "
    else:
        wanted = {"y", "yes"}
        question = "Go on? [y/N]: "
    sys.stdout.flush()
    answer = await TerminalPrompter().line(question)
    if answer is None or answer.strip() not in wanted:
        raise NotConfirmed("not confirmed, nothing was changed")


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        body = asdict(plan) | {"digest": plan.digest, "phrase": phrase(plan)}
        _print_json("plan", body)
        return
    click.echo(f"plan {plan.id}: {plan.verb.value} {plan.selector} on {plan.cluster} ({plan.environment})")
    for number, step in enumerate(plan.steps, 1):
        click.echo(f"\n  {number}. {step.unit} on {step.host}")
        click.echo(f"     now     {step.meant_for}")
        if step.preflight:
            click.echo(f"     first   {' '.join(step.preflight)}")
        click.echo(f"     do      {step.command}")
        for gate in step.gates:
            click.echo(f"     then    {gate.level.value} {gate.text}")
        if step.warning:
            click.echo(f"     beware  {step.warning}")
    click.echo()


def _show_event(plan: Plan, event: PlanEvent, as_json: bool) -> None:
    if as_json:
        _print_json("event", asdict(event))
        return
    where = ""
    if event.step is not None:
        step = plan.steps[event.step]
        where = f"{step.unit} on {step.host}: "
    if event.state is StepState.GATE:
        click.echo(f"  {where}{_gate_text(event.gate)} ({event.text})")
    else:
        click.echo(f"  {where}{event.state.value}{'  ' + event.text if event.text else ''}")


def _gate_text(gate: GateResult | None) -> str:
    if gate is None:
        return "no gate"
    return f"{'✓' if gate.passed else '✗'} {gate.level.value} {gate.evidence} {gate.milliseconds:.0f} ms"


def _print_json(kind: str, body: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": SCHEMA, "kind": kind, **body}, default=str))
