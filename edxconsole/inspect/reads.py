"""Every command an inspector can run on a host. Anything else is refused before it is sent.

An inspector runs without the interlock, so nothing here may change a host. `edxconsole sudoers` prints
those that need root.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edxconsole.inspect.finding import FINDING
from edxconsole.inspect.mysql_output import MARK
from edxconsole.numerals import natural

NGINX = ("/usr/sbin/nginx", "/usr/local/nginx/sbin/nginx", "/usr/local/sbin/nginx")
NGINX_DUMP = ("-T",)

RABBITMQCTL = ("/usr/sbin/rabbitmqctl", "/usr/lib/rabbitmq/bin/rabbitmqctl", "/opt/rabbitmq/sbin/rabbitmqctl")
RABBIT_STATUS = ("status", "--formatter", "json")
RABBIT_OLD_STATUS = ("-q", "status")
QUEUE_COLUMNS = ("name", "messages_ready", "messages_unacknowledged", "consumers", "memory", "state")
CONNECTION_COLUMNS = ("user", "peer_host", "state")
RABBIT_VHOSTS = ("-q", "list_vhosts", "name")
RABBIT_CONNECTIONS = ("-q", "list_connections", *CONNECTION_COLUMNS)


def rabbit_queues(vhost: str) -> tuple[str, ...]:
    """The words that list the queues of a vhost."""
    return ("-q", "list_queues", "-p", vhost, *QUEUE_COLUMNS)


MYSQL = ("/usr/bin/mysql", "/usr/bin/mariadb", "/usr/local/mysql/bin/mysql", "/usr/local/bin/mysql")
MAINTENANCE = "/etc/mysql/debian.cnf"
MYSQL_OPTIONS = ("--batch", "--connect-timeout=5")
MYSQL_ACCOUNT = f"--defaults-file={MAINTENANCE}"

_STATUS = (
    "Uptime", "Threads_connected", "Threads_running", "Max_used_connections", "Connections",
    "Aborted_connects", "Connection_errors_max_connections", "Slow_queries", "Questions",
    "Innodb_buffer_pool_reads", "Innodb_buffer_pool_read_requests",
)  # fmt: skip
_SETTINGS = (
    "version", "version_comment", "max_connections", "long_query_time", "slow_query_log",
    "slow_query_log_file", "read_only", "innodb_buffer_pool_size", "bind_address", "datadir",
)  # fmt: skip


def _asking(name: str, statement: str) -> str:
    return f"SELECT '{MARK}','{name}'; {statement}; "


def _in(names: Sequence[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


STATEMENTS = (
    _asking("status", f"SHOW GLOBAL STATUS WHERE Variable_name IN ({_in(_STATUS)})")
    + _asking("settings", f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_in(_SETTINGS)})")
    + _asking(
        "databases",
        "SELECT s.schema_name AS name, COUNT(t.table_name) AS tables, SUM(t.data_length) AS data, "
        "SUM(t.index_length) AS indexes FROM information_schema.schemata s "
        "LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name "
        "GROUP BY s.schema_name",
    )
    + _asking(
        "threads",
        "SELECT user AS user, db AS db, command AS command, state AS state, COUNT(1) AS threads, "
        "MAX(time) AS longest "
        "FROM information_schema.processlist GROUP BY user, db, command, state",
    )
).strip()
# Every column has an alias: MySQL 8 prints the names of its own in capitals.
REPLICATION = ("SHOW SLAVE STATUS", "SHOW REPLICA STATUS")
"""MySQL 8.4 knows only the second, 5.x only the first"""


def mysql_asks(options: Sequence[str], statement: str) -> tuple[str, ...]:
    """The words that make one of the statements above."""
    vertical = ("--vertical",) if statement in REPLICATION else ()
    return (*options, *MYSQL_OPTIONS, *vertical, "-e", statement)


CONNECTIONS_OF = ("ss", "-tn", "state", "established", "sport", "=")
"""and ":PORT" """
CLOCK = ("date", "+%Y-%m-%d %H:%M:%S")
EXECUTABLE = 'for p; do [ -x "$p" ] && echo "$p" && exit 0; done; exit 1'
READABLE = """
[ -d "$3" ] && exit 79
[ -f "$3" ] && [ -r "$3" ] && exec "$1" -c "$2" -- "$3"
[ -f "$3" ] && exit 77
[ -e "$3" ] && exit 79
d=$(dirname -- "$3")
while [ ! -e "$d" ] && [ "$d" != / ]; do d=$(dirname -- "$d"); done
[ -x "$d" ] && exit 78
exit 77
"""
INCLUDED = """
IFS=
for pattern; do for file in $pattern; do
    [ -f "$file" ] || continue
    [ -r "$file" ] || { echo "$file" >&2; continue; }
    echo; head -c 262144 -- "$file"
done; done
"""
STATUS = 'for p; do stat -Lc "%s|%Y|%U|%a|%n" -- "$p"; done; exit 0'
"""size, epoch of the last change, owner and mode of each file that is there"""
STATUS_OF = ("stat", "-Lc", "%s|%Y|%U|%a|%n", "--")
"""and the path of a file: the same of one, which sudo can allow"""
DISTRIBUTIONS = """
[ -d "$1" ] && { [ -r "$1/lib" ] && [ -x "$1/lib" ] || exit 77; }
for d in "$1"/lib/python*/site-packages/*.dist-info "$1"/lib/python*/site-packages/*.egg-info; do
    [ -e "$d" ] && echo "${d##*/}"
done
exit 0
"""
"""the Python distributions of a virtualenv, by the names of their metadata"""
SCRIPTS = frozenset({EXECUTABLE, READABLE, INCLUDED, STATUS, DISTRIBUTIONS})

DPKG = ("/usr/bin/dpkg-query", "-W", "-f", "${Status}\t${Package}\t${Version}\n")
RPM = ("/usr/bin/rpm", "-q", "--qf", "installed\t%{NAME}\t%{VERSION}-%{RELEASE}\n")
UNIT_FILES = ("systemctl", "cat", "--no-pager", "--")
"""and the name of a unit"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._+\\-]{0,200}")


def is_read(argv: Sequence[str]) -> bool:
    """Whether a command is one of these, word by word."""
    match tuple(argv):
        case ("sh", "-c", script, "sh", *_):
            return script in SCRIPTS or script in FINDING
        case ("head" | "tail", "-c", count, "--", path):
            return natural(count) is not None and path.startswith("/")
        case (*words, path) if tuple(words) == STATUS_OF:
            return path.startswith("/")
        case ("test", "-e", path):
            return path == MAINTENANCE
        case (*words, port) if tuple(words) == CONNECTIONS_OF:
            return port.startswith(":") and natural(port[1:], 5) is not None
        case words if words == CLOCK:
            return True
        case (*words, unit) if tuple(words) == UNIT_FILES:
            return _NAME.fullmatch(unit) is not None
        case words if words[:4] in (DPKG, RPM):
            return len(words) > 4 and all(_NAME.fullmatch(name) for name in words[4:])
        case (program, *words) if program in NGINX:
            return tuple(words) == NGINX_DUMP
        case (program, *words) if program in RABBITMQCTL:
            return _is_rabbit_read(tuple(words))
        case (program, *words) if program in MYSQL:
            return tuple(words) in _MYSQL_READS
    return False


def _is_rabbit_read(words: tuple[str, ...]) -> bool:
    if words in (RABBIT_STATUS, RABBIT_OLD_STATUS, RABBIT_VHOSTS, RABBIT_CONNECTIONS):
        return True
    return len(words) > 3 and not words[3].startswith("-") and words == rabbit_queues(words[3])


_MYSQL_READS = frozenset(
    mysql_asks(options, statement)
    for options in ((), (MYSQL_ACCOUNT,))
    for statement in (STATEMENTS, *REPLICATION)
)
