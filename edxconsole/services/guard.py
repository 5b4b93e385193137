"""The last checks before anything is changed: is this leave for this act, and is it still the same run?"""

from __future__ import annotations

from edxconsole.cluster.units import Identity
from edxconsole.errors import IdentityDrift, NotConfirmed
from edxconsole.services.base import Permit, Verb


def check_permit(permit: Permit, *, host: str, unit: str, verb: Verb) -> None:
    """Raise NotConfirmed unless the permit is for exactly this host, unit and verb."""
    if (permit.host, permit.unit, permit.verb) != (host, unit, verb):
        raise NotConfirmed(
            f"leave was given to {permit.verb} {permit.unit} on {permit.host}, not to {verb} {unit}",
            host=host,
        )


def check_identity(permit: Permit, now: Identity) -> None:
    """Raise IdentityDrift unless `now` is a run that was confirmed. Not running equals not running."""
    if not permit.any_run and not same_run(permit.before, now):
        raise IdentityDrift(
            f"{permit.unit} is no longer what was confirmed ({permit.before} then, {now} now)",
            host=permit.host,
            remedy="look again and confirm again",
        )


def same_run(one: Identity, other: Identity) -> bool:
    """Whether two identities of one unit, from one manager, are the same run of the same process."""
    if one.pid is None and other.pid is None:
        return one.invocation == other.invocation
    return one == other
