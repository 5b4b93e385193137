"""A host of the old days: supervisor 3.x on Python 2.7, programs in the groups they had then."""

from __future__ import annotations

import time
from pathlib import Path

from tests.lab import needs
from tests.lab.host import LabError, LabHost
from tests.lab.lab import Lab

SCRIPT = Path(__file__).with_name("roles") / "supervisor3.sh"
SETTLED = {
    "edxapp:cms": "RUNNING",
    "edxapp:lms": "RUNNING",
    "never_starts": "FATAL",
    "slow_to_stop": "RUNNING",
    "xqueue": "RUNNING",
}
"""what supervisorctl says once it is up"""


def status(host: LabHost) -> dict[str, str]:
    """What `supervisorctl status` says there: namespec -> state word."""
    base = "/edx/app/supervisor"
    text = host.sh(
        f"{base}/venvs/supervisor/bin/supervisorctl -c {base}/supervisord.conf status", check=False
    )
    return {parts[0]: parts[1] for line in text.splitlines() if len(parts := line.split()) >= 2}


def boot_old_supervisor(lab: Lab, version: str, limit: float = 30.0) -> LabHost:
    """Boot the host and wait until every program has settled. Raises LabError."""
    python = needs.python("2.7")
    environment = {"PYTHON27": str(python), "LIBRARY": str(needs.SUPERVISORS[version])}
    name = f"old{version.replace('.', '')}"
    host = lab.host(name, script=SCRIPT, environment=environment)
    deadline = time.monotonic() + limit
    while (seen := status(host)) != SETTLED:
        if time.monotonic() > deadline:
            raise LabError(f"{name}: supervisor {version} is not up: {seen} {host.boot_log()}")
        time.sleep(0.2)
    return host
