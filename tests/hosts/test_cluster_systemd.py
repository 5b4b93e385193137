"""The host that boots systemd, and what the cluster sees of it."""

from __future__ import annotations

import pytest

from tests.lab.host import LabHost
from tests.lab.systemd import UNITS

pytestmark = [pytest.mark.hosts, pytest.mark.systemd]


def test_it_boots_a_real_systemd(systemd_host: LabHost) -> None:
    assert systemd_host.ssh("ps -p 1 -o comm=").stdout.strip() == "systemd"
    states = systemd_host.ssh(f"systemctl is-active {' '.join(UNITS)}").stdout.split()
    assert states == ["active"] * len(UNITS)
    assert systemd_host.ssh("sudo -n systemctl is-system-running").stdout.strip() == "running"
