"""The log formats of edx-platform (openedx/core/lib/logsettings.py), written to the native install's paths.

On a native host rsyslog receives `local0` and writes edx.log; the demo has no rsyslog, so the app writes the
line rsyslog would have written.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
from pathlib import Path

_EDX_LOG = (
    "%(asctime)s {host} [service_variant={variant}][%(name)s][env:{env}] %(levelname)s "
    "[{host}  %(process)d] [user %(userid)s] [ip %(remoteip)s] [%(filename)s:%(lineno)d] - %(message)s"
)
_CONSOLE = (
    "%(asctime)s %(levelname)s %(process)d [%(name)s] [user %(userid)s] [ip %(remoteip)s] "
    "%(filename)s:%(lineno)d - %(message)s"
)


class _Who(logging.Filter):
    """Fill in the user and address that edx-platform's middleware adds."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.userid = getattr(record, "userid", None)
        record.remoteip = getattr(record, "remoteip", None)
        for name in ("filename", "lineno"):
            if (shown := getattr(record, f"shown_{name}", None)) is not None:
                setattr(record, name, shown)
        return True


def log_directory(variant: str) -> Path:
    """/edx/var/log/<variant>, below EDX_DEMO_ROOT where hosts share one file system."""
    return Path(os.environ.get("EDX_DEMO_ROOT", "/"), "edx/var/log", variant)


def set_up(variant: str, env: str) -> None:
    """Send the root logger to edx.log, marked with the environment `env`, and to stderr."""
    host = os.environ.get("EDX_DEMO_HOST") or socket.gethostname()
    directory = log_directory(variant)
    directory.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.WatchedFileHandler(directory / "edx.log")
    file.setFormatter(
        logging.Formatter(_EDX_LOG.format(host=host, variant=variant, env=env), "%b %e %H:%M:%S")
    )
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter(_CONSOLE))
    root = logging.getLogger()
    root.handlers = [file, console]
    root.setLevel(logging.INFO)
    for handler in root.handlers:
        handler.addFilter(_Who())
