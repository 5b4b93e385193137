"""Init scripts for the web and data hosts: `service NAME start|stop|restart|reload|status`."""

from __future__ import annotations

from edxconsole.demo.hostspec import Service
from edxconsole.demo.layout import Contents, Place

_SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: {title}
### END INIT INFO

NAME={name}
PIDFILE={root}/run/{name}.pid
LOG={root}{log}

pid() {{ cat "$PIDFILE" 2>/dev/null; }}
running() {{ [ -s "$PIDFILE" ] && kill -0 "$(pid)" 2>/dev/null; }}

start() {{
    running && return 0
    {prepare}
    {env} setsid sh -c 'echo $$ >"$0"; exec {command}' "$PIDFILE" >>"$LOG" 2>&1 </dev/null &
    for _ in 1 2 3 4 5 6 7 8 9 10; do running && return 0; sleep 0.1; done
    return 1
}}

stop() {{
    running || return 0
    kill -{stop_signal} "$(pid)"
    for _ in $(seq 100); do running || break; sleep 0.1; done
    running && return 1
    rm -f "$PIDFILE"
}}

case "$1" in
  start) echo "Starting {title}: $NAME."; start ;;
  stop) echo "Stopping {title}: $NAME."; stop ;;
  restart|force-reload) echo "Restarting {title}: $NAME."; stop && start ;;
  reload) {reload} ;;
  status)
    if running; then echo "$NAME is running (pid $(pid))."; else echo "$NAME is not running."; exit 3; fi ;;
  *) echo "Usage: /etc/init.d/{name} {{start|stop|restart|reload|status}}" >&2; exit 3 ;;
esac
"""


def add_daemon(
    contents: Contents,
    place: Place,
    name: str,
    title: str,
    command: str,
    *,
    log: str = "/dev/null",
    prepare: str = ":",
    reload: str = 'echo "Not supported." >&2; exit 3',
    stop_signal: str = "TERM",
) -> None:
    """Add an init script and have the host's init call it.

    Args:
        command: run by exec; no single quotes in it.
        prepare, reload: lines of sh.
        log: a path in the host for what the daemon prints.
    """
    env = " ".join(f'{k}="{v}"' for k, v in place.env.items())
    script = _SCRIPT.format(
        name=name, title=title, command=command, prepare=prepare, reload=reload, env=env, root=place.root,
        log=log, stop_signal=stop_signal,
    )  # fmt: skip
    contents.add(f"/etc/init.d/{name}", script, 0o755)
    contents.services.append(Service((f"{place.root}/etc/init.d/{name}", "start"), "/var/log/boot.log"))
