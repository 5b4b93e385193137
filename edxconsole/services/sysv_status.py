"""What `service NAME status` means. Pure: text of one host-side command in, Units out.

The exit status is trusted over the words (LSB: 0 running, 1 and 2 dead with a pid or lock file
left, 3 stopped, 4 unknown); scripts that lie on a stale pid file are caught by looking whether
the pid is there (services.md section 3).
"""

from __future__ import annotations

from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.services.text import clean

MANAGER = "sysv"

# Arguments: shell patterns of script names. One line per script: NAME STATUS PID START, "-" for none.
# The pid is that of the script's own pid file, as its header, its settings or custom name it.
# An ordinary login's PATH has no sbin, where service(8) is.
SCRIPT = r"""
PATH=$PATH:/usr/sbin:/sbin
cd /etc/init.d 2>/dev/null || exit 0
for pattern; do for name in $pattern; do
  [ -x "$name" ] || continue
  service "$name" status >/dev/null 2>&1 </dev/null
  code=$? pid=- start=-
  named=$(sed -n 's/^# *pidfile: *//p; s/^ *PIDFILE=//p; s/^ *pidfile=//p' "$name" | tr -d "\"'" | head -n 1)
  for file in "$named" /run/"$name".pid /var/run/"$name".pid /run/"$name"/*.pid /run/"${name%-server}"/*.pid \
      /run/"${name%d}"d/*.pid /run/mysqld/mysqld.pid; do
    case $file in */mysqld.pid) case $name in my*|maria*) ;; *) continue;; esac;; esac
    [ -f "$file" ] && [ -r "$file" ] || continue
    read -r pid _ <"$file" || [ -n "$pid" ] || continue
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || { pid=-; continue; }
    start=$(echo "${stat##*) }" | cut -d ' ' -f 20)
    break
  done
  echo "$name $code ${pid:--} ${start:--}"
done; done
"""

_WORD = {
    0: ("running", UnitHealth.RUNNING),
    1: ("dead, pid file left", UnitHealth.FAILED),
    2: ("dead, lock file left", UnitHealth.FAILED),
    3: ("stopped", UnitHealth.STOPPED),
}


def parse(text: str) -> dict[str, Unit]:
    """The lines of SCRIPT as units; what is not such a line is left out."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[1].isdigit():
            found[words[0]] = _unit(words[0], int(words[1]), words[2], words[3])
    return found


def _unit(name: str, status: int, pid: str, start: str) -> Unit:
    word, health = _WORD.get(status, ("unknown", UnitHealth.UNKNOWN))
    there = pid.isdigit() and start.isdigit()
    identity = Identity(int(pid), int(start)) if there and status == 0 else Identity()
    detail = "" if status in (0, 3) else f"its init script's status is {status}"
    return Unit(MANAGER, clean(name, 60), word, health, identity, detail=detail)
