"""What `service NAME status` means. Pure: text of one host-side command in, Units out.

The exit status is trusted over the words (LSB: 0 running, 1 and 2 dead with a pid or lock file
left, 3 stopped, 4 unknown). Only root is always told the truth: without it Debian's MariaDB reads
"stopped" and its Redis "dead" while they run, because their pid files or sockets are closed to
others. So what was not asked as root is believed only when it says "running".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.numerals import natural

MANAGER = "sysv"

# $1 "sudo" to ask through it, $2 names for which it refused a moment ago (each refusal is logged
# there and may be mailed), the rest are shell patterns of script names. One line per script:
# NAME STATUS PID START HOW, "-" for none; HOW is root, refused (sudo did) or login.
# The pid is that of the script's own pid file, as its header, its settings or custom name it; where
# that can't be read, of the oldest process of the daemon's name.
# An ordinary login's PATH has no sbin, where service(8) is.
SCRIPT = r"""
PATH=$PATH:/usr/sbin:/sbin
become=$1 refused=" $2 "
shift 2
[ "$(id -u)" = 0 ] && become=root
ask() {
  how=login
  case $become in
    root) how=root ;;
    sudo)
      how=refused
      case $refused in *" $name "*) ;; *)
        said=$(LC_ALL=C sudo -n service "$name" status 2>&1 >/dev/null </dev/null)
        code=$?
        case $code:$said in 1:*sudo*|1:*"not allowed"*|126:*|127:*) ;; *) how=root; return ;; esac
      esac ;;
  esac
  service "$name" status >/dev/null 2>&1 </dev/null
  code=$?
}
cd /etc/init.d 2>/dev/null || exit 0
for pattern; do for name in $pattern; do
  [ -x "$name" ] || continue
  ask
  pid=- start=- daemon=$name
  named=$(sed -n 's/^# *pidfile: *//p; s/^ *PIDFILE=//p; s/^ *pidfile=//p' "$name" | tr -d "\"'" | head -n 1)
  for file in "$named" /run/"$name".pid /var/run/"$name".pid /run/"$name"/*.pid /run/"${name%-server}"/*.pid \
      /run/"${name%d}"d/*.pid /run/mysqld/mysqld.pid; do
    case $file in */mysqld.pid) case $name in my*|maria*) ;; *) continue;; esac;; esac
    [ -f "$file" ] && [ -r "$file" ] || continue
    read -r pid _ <"$file" || [ -n "$pid" ] || continue
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || { pid=-; continue; }
    break
  done
  if [ "${pid:--}" = - ] && [ "$code" = 0 ]; then
    case $name in my*|maria*) daemon='mariadbd|mysqld' ;; esac
    pid=$(pgrep -o -x "$daemon" 2>/dev/null) && stat=$(cat "/proc/$pid/stat" 2>/dev/null) || pid=-
  fi
  [ "${pid:--}" = - ] || start=$(echo "${stat##*) }" | cut -d ' ' -f 20)
  echo "$name $code ${pid:--} ${start:--} $how"
done; done
"""

_WORD = {
    0: ("running", UnitHealth.RUNNING),
    1: ("dead, pid file left", UnitHealth.FAILED),
    2: ("dead, lock file left", UnitHealth.FAILED),
    3: ("stopped", UnitHealth.STOPPED),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the scripts said."""

    units: dict[str, Unit]
    refused: tuple[str, ...] = ()
    """names for which sudo refused to ask"""
    untold: tuple[str, ...] = ()
    """names whose state only root is told"""


def parse(text: str) -> Answers:
    """The lines of SCRIPT; what is not such a line is left out."""
    rows = list(_rows(text))
    return Answers(
        {row.name: _unit(row) for row in rows},
        tuple(row.name for row in rows if row.how == "refused"),
        tuple(row.name for row in rows if not row.told),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    status: int
    pid: str
    start: str
    how: str

    @property
    def told(self) -> bool:
        return self.how == "root" or self.status == 0


def _rows(text: str) -> Iterator[_Row]:
    for line in text.splitlines():
        words = line.split()
        status = natural(words[1], 3) if len(words) == 5 else None
        if status is not None:
            yield _Row(clean_line(words[0], 60), status, *words[2:])


def _unit(row: _Row) -> Unit:
    word, health = _WORD.get(row.status, ("unknown", UnitHealth.UNKNOWN))
    if not row.told:
        said = f"says {word}" if row.status in _WORD else f"gives status {row.status}"
        detail = f"its init script {said} to a login that is not root, which may be wrong"
        return Unit(MANAGER, row.name, "unknown", UnitHealth.UNKNOWN, detail=detail)
    pid, start = natural(row.pid), natural(row.start)
    there = pid is not None and start is not None and row.status == 0
    identity = Identity(pid, start) if there else Identity()
    detail = "" if row.status in (0, 3) else f"its init script's status is {row.status}"
    return Unit(MANAGER, row.name, word, health, identity, detail=detail)
