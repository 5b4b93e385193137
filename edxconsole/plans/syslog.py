"""One line in the host's own syslog per act, so that the site's records have it too."""

from __future__ import annotations

from edxconsole.errors import EdxconsoleError
from edxconsole.plans.model import Plan, Step
from edxconsole.settings import local_user
from edxconsole.transport.base import Transport


async def tell_syslog(transport: Transport, plan: Plan, step: Step) -> str:
    """Best effort: "yes", or why not. A host without logger(1) does not stop an act."""
    text = f"plan={plan.id} by={local_user()} {step.verb.value} {step.unit} ({step.before})"
    argv = ["logger", "-t", "edxconsole", "-p", "authpriv.notice", "--", text]
    try:
        result = await transport.run(argv, timeout=3.0)
    except EdxconsoleError as error:
        return str(error)
    return "yes" if result.ok else f"logger ended with {result.exit_status}"
