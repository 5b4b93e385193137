"""Files that change what a check means, looked for by one command on the host."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, poor, unknown
from edxconsole.transport.base import Transport

TIMEOUT = 6.0
MAX_OUTPUT = 4096


async def check_absent(transport: Transport, spec: HealthSpec) -> Answer:
    """Whether the file at spec.path is there. Raises CommandFailed, CommandTimedOut, ConnectionLost."""
    argv = ["env", "LC_ALL=C", "stat", "-c", "%F", "--", spec.path]
    result = await transport.run(argv, timeout=TIMEOUT, max_output=MAX_OUTPUT)
    if result.ok:
        return poor(f"{spec.path} is there: {spec.meaning}")
    said = result.stderr.decode("utf-8", "replace").strip()
    if "No such file" in said or "Not a directory" in said:
        return good(f"no {spec.path}")
    return unknown(f"can't be looked at: {clean_line(said, 120) or 'stat fails'}")
