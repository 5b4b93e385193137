"""The certificates of the cluster's sites on one port: asked name by name, the worst of them answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import State
from edxconsole.health.answer import Answer, poor, unknown
from edxconsole.health.tls import REFUSED, Shown
from edxconsole.inventory.names import MAX_SITES

ENOUGH = 12.0
"""seconds after which no further site is asked for: a port that answers none must not hold up other checks"""
_WORST_FIRST = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.UP)

Ask = Callable[[str], Awaitable[tuple[Answer, bytes]]]
"""One site's name -> its answer, and the first bytes that came."""


def for_site(check: Check, site: str) -> Check:
    """The check that asks for this name."""
    return replace(check, spec=check.spec.model_copy(update={"host_header": site}))


async def ask_sites(sites: Sequence[str], ask: Ask, enough: float = ENOUGH) -> tuple[Answer, bytes]:
    """One after the other, as where ports are not forwarded each takes one of the host's few sessions.

    Raises what `ask` raises.
    """
    wanted = list(dict.fromkeys(sites))[:MAX_SITES]
    began, found = time.monotonic(), dict[str, tuple[Answer, bytes]]()
    for site in wanted:
        found[site] = await ask(site)
        if time.monotonic() - began > enough:
            break
    answers = {site: answer for site, (answer, _) in found.items()}
    worst = min(answers, key=lambda site: _rank(answers[site]))
    return _of_all(answers, worst, wanted[len(found) :]), found[worst][1]


def _of_all(answers: Mapping[str, Answer], worst: str, unasked: Sequence[str]) -> Answer:
    """What the answers mean together; each site of which nothing is known keeps them from being good."""
    answer, count = answers[worst], len(answers) + len(unasked)
    if not unasked and all(a == REFUSED for a in answers.values()):
        return poor(f"shows a certificate for none of the sites of hosts.yaml, as for {worst}")
    well = sum(a.state is State.UP for a in answers.values())
    held = f"; {well} of {count} sites are well" if count > 1 else ""
    if unasked and answer.state is State.UP:
        return unknown(f"{unasked[0]}: not asked, as the others took too long{held}")
    if len(set(answers.values())) == 1 and not isinstance(answer, Shown) and answer != REFUSED:
        return answer
    return replace(answer, text=f"{worst}: {answer.text}{held}")


def _rank(answer: Answer) -> tuple[int, float]:
    """The worse, the smaller: no answer is worse than a certificate's end, an earlier end than a later."""
    return _WORST_FIRST.index(answer.state), answer.left if isinstance(answer, Shown) else float("-inf")
