"""The log file: where tracebacks and library warnings go, so that none is ever on the screen."""

from __future__ import annotations

import logging
import logging.handlers
import os
from pathlib import Path

from edxconsole.settings import log_file

MAX_BYTES = 4 << 20
_LINE = "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating file that nobody else may read; its directory neither. Opened when first needed."""

    def _open(self):  # type: ignore[no-untyped-def]
        Path(self.baseFilename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


def start_logging(level: int = logging.WARNING) -> None:
    """Send all logging of this process to the log file; nothing of it reaches the terminal."""
    logging.raiseExceptions = False
    root = logging.getLogger()
    if any(isinstance(handler, _PrivateFile) for handler in root.handlers):
        return
    handler = _PrivateFile(log_file(), maxBytes=MAX_BYTES, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter(_LINE))
    root.addHandler(handler)
    root.setLevel(level)


def record_crash(error: BaseException) -> Path | None:
    """Write a traceback to the log file; its path, or None when it can't be written."""
    logging.getLogger("edxconsole").error("unexpected %s", type(error).__name__, exc_info=error)
    path = log_file()
    return path if os.access(path, os.W_OK) else None
