"""Ctrl-C, SIGTERM and a closed terminal: alike, and only once there is something to close.

While modules are imported all three end the process at once, as the system does it: a KeyboardInterrupt
there surfaces in whatever runs, and Python turns it into a RuntimeError (`__set_name__` before Python
3.12) or drops it (a weak reference's callback).
"""

from __future__ import annotations

import signal
from types import FrameType


def take_signals() -> None:
    """From now on they raise KeyboardInterrupt, or cancel asyncio.run's task; ignored (nohup) stays so.

    A Ctrl-C that was ignored is held back instead, which comes to the same: asyncio.run then listens for
    it all the same, and SIGTERM and SIGHUP reach its main task that way.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def end_at_once_from_now_on() -> None:
    """Everything is closed: one more Ctrl-C needs no ceremony, and must not become a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is a Ctrl-C, or what Python made of one."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__
    return seen is not None


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that connections are closed and the terminal is given back.

    Whoever listens for Ctrl-C hears it: asyncio.run cancels its main task, where an exception out of
    the blue would end whichever task or callback happens to run.
    """
    ctrl_c = signal.getsignal(signal.SIGINT)
    if not callable(ctrl_c):
        raise KeyboardInterrupt
    ctrl_c(signal.SIGINT, frame)
