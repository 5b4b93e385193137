"""When to try a host again."""

from __future__ import annotations

import random

from edxconsole.errors import (
    AuthenticationFailed,
    EdxconsoleError,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
)

EAGER = 60.0
"""seconds after a loss during which a host is tried again at least once a second"""
CEILING = 60.0
_REFUSALS = (AuthenticationFailed, HostKeyChanged, HostKeyUnknown)


def is_refusal(error: EdxconsoleError) -> bool:
    """Whether only the operator can help. Retrying a refused login gets our address banned
    (OpenSSH PerSourcePenalties), so it is never retried by itself."""
    return isinstance(error, _REFUSALS)


class Backoff:
    """Full jitter, 1 to 60 s. A host that does not answer at all is tried eagerly at first,
    since that costs it nothing; one that answers and then fails is left in peace sooner."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._random = rng or random.Random()
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def delay(self, error: EdxconsoleError, elapsed: float) -> float:
        """Seconds to wait. `elapsed` since the host was lost or first tried."""
        if isinstance(error, HostUnreachable):
            ceiling = min(CEILING, 1.0 + max(0.0, elapsed - EAGER) / 20)
        else:
            ceiling = min(CEILING, 2.0**self._failures)
            self._failures += 1
        return self._random.uniform(min(0.2, ceiling), ceiling)
