"""Hosts with supervisor 3.x on Python 2.7, and what the cluster sees of them."""

from __future__ import annotations

import pytest

from tests.lab.host import LabHost
from tests.lab.old import SETTLED, status

pytestmark = [pytest.mark.hosts, pytest.mark.root]

BASE = "/edx/app/supervisor"


def test_it_runs_the_old_supervisor(old_supervisor: LabHost) -> None:
    assert status(old_supervisor) == SETTLED
    interpreter = old_supervisor.sh("readlink /proc/$(cat /edx/var/supervisor/supervisord.pid)/exe")
    assert interpreter.strip().endswith("python2.7")
    said = old_supervisor.ssh(
        f"sudo -n -u www-data {BASE}/venvs/supervisor/bin/supervisorctl -c {BASE}/supervisord.conf version"
    )
    assert old_supervisor.name == f"old{said.stdout.strip().replace('.', '')}"
