"""Fixtures of the transport's tests on a real sshd; imported by their modules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.ssh.lab import Sshd, SshLab, ssh_lab
from tests.support.ssh.peers import Reach


@pytest.fixture(scope="module")
def lab() -> Iterator[SshLab]:
    with ssh_lab() as made:
        yield made


@pytest.fixture(scope="module")
def plain_sshd(lab: SshLab) -> Sshd:
    """An sshd as Debian configures it, for keys."""
    return lab.sshd()


@pytest.fixture
async def reach(
    lab: SshLab, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reach]:
    """Connections of the kind that the test is parametrized with; no agent, own state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Reach(lab, request.param, tmp_path)
    yield made
    await made.close()
