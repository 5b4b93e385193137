"""MySQL asked by somebody who may log in: `SELECT 1`, and how many connections are left.

By the host's own `mysql`, which reads the password that the login user keeps in ~/.my.cnf when it is run.
Without that file nothing is tried: each refusal would be a line in MySQL's log.
"""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line, mask_text
from edxconsole.health.answer import Answer, dead, good, odd, poor, unknown
from edxconsole.transport.base import Transport

TIMEOUT = 6.0
MAX_OUTPUT = 4096
NEARLY_FULL = 0.85
NO_LOGIN = 77
STATEMENTS = (
    "SELECT 1; SHOW GLOBAL STATUS LIKE 'Threads_connected'; SHOW GLOBAL VARIABLES LIKE 'max_connections'"
)
SCRIPT = f"""[ -r "$HOME/.my.cnf" ] || exit {NO_LOGIN}; exec mysql --batch --skip-column-names \
--connect-timeout=4 --execute="$1" </dev/null"""


async def check_mysql_login(transport: Transport, spec: HealthSpec) -> Answer:
    """Raises CommandFailed, CommandTimedOut, ConnectionLost."""
    argv = ["sh", "-c", SCRIPT, "sh", STATEMENTS]
    result = await transport.run(argv, timeout=TIMEOUT, max_output=MAX_OUTPUT)
    if result.exit_status == NO_LOGIN:
        why = "the login user has no ~/.my.cnf; `edxconsole inspect mysql` asks as root"
        return unknown(f"only its greeting is known, {why}")
    if not result.ok:
        return _failed(result.stderr.decode("utf-8", "replace"))
    rows = [line.split("\t") for line in result.text.splitlines()]
    if ["1"] not in rows:
        return odd("answers SELECT 1 with something else")
    told = {row[0].lower(): int(row[1]) for row in rows if len(row) == 2 and _is_number(row[1])}
    now, most = told.get("threads_connected"), told.get("max_connections")
    if not most or now is None:
        return good("answers SELECT 1; it does not say how many connections are left")
    if now >= NEARLY_FULL * most:
        return poor(f'{now} of {most} connections are used; the next ones get "Too many connections"')
    tenth = 10 * round(10 * now / most)
    return good(f"answers SELECT 1, about {tenth} % of {most} connections are used")


def _failed(said: str) -> Answer:
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines() or [""]
    words = clean_line(mask_text(lines[0]), 120)
    if any(code in words for code in ("ERROR 1045", "ERROR 1698", "ERROR 1044", "ERROR 1227")):
        return unknown(f"only its greeting is known, ~/.my.cnf does not let us in: {words}")
    if words.startswith("ERROR"):
        return dead(f"does not answer SELECT 1: {words}")
    return unknown(f"can't be asked: {words or 'mysql fails'}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 12
