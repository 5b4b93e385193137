"""Hosts with supervisor 3.x on Python 2.7, and what the cluster sees of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.inventory.model import Environment, Inventory
from tests.lab import truth
from tests.lab.host import LabHost
from tests.lab.old import SETTLED, status
from tests.lab.watching import instance, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root]

BASE = "/edx/app/supervisor"


def version_of(host: LabHost) -> str:
    """ "3.1.3" of the host old313."""
    return ".".join(host.name.removeprefix("old"))


def test_it_runs_the_old_supervisor(old_supervisor: LabHost) -> None:
    assert status(old_supervisor) == SETTLED
    interpreter = old_supervisor.sh("readlink /proc/$(cat /edx/var/supervisor/supervisord.pid)/exe")
    assert interpreter.strip().endswith("python2.7")
    said = old_supervisor.ssh(
        f"sudo -n -u www-data {BASE}/venvs/supervisor/bin/supervisorctl -c {BASE}/supervisord.conf version"
    )
    assert said.stdout.strip() == version_of(old_supervisor)


async def test_programs_are_what_the_old_supervisorctl_says(old_supervisor: LabHost, tmp_path: Path) -> None:
    """With the group names of Aspen to Ginkgo, and one program that never starts."""
    inventory = Inventory(
        environment=Environment.DEVELOPMENT, hosts={old_supervisor.name: old_supervisor.inventory_host()}
    )
    command = f"{BASE}/venvs/supervisor/bin/supervisorctl -c {BASE}/supervisord.conf"
    async with watching(inventory, tmp_path) as engine:
        true = await asyncio.to_thread(truth.programs, old_supervisor, command)
        seen = engine.snapshot.hosts[old_supervisor.name]
        assert {u.name: (u.word, u.identity.pid or None) for u in seen.units.values()} == {
            name: (program.word, program.pid) for name, program in true.items()
        }
        assert [info.version for info in seen.supervisors] == [version_of(old_supervisor)]
        lms = instance(seen, "lms")
        assert lms is not None
        assert lms.units == ("supervisor:/edx/var/supervisor/supervisor.sock/edxapp:lms",)
