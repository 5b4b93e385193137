"""A test that was left out is told of; in CI it is a failure. And our code may not block a loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.host import REPOSITORY

SKIPPING = """
import pytest

@pytest.mark.needs("no-such-tool")
def test_needs():
    raise AssertionError("it ran")

def test_skips_itself():
    pytest.skip("for a reason of its own")
"""

BLOCKING = """
from edxconsole.inventory.loader import load_inventory
from pathlib import Path

async def test_blocks():
    load_inventory(Path("hosts.yaml"))
"""


def run_pytest(directory: Path, source: str, *, ci: bool) -> tuple[int, str]:
    """Run a test file of its own with our conftest; exit status and output."""
    path = directory / "test_sample.py"
    path.write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["CI"] = "true" if ci else ""
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-ra"]
    argv += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [*argv, f"--rootdir={directory}", str(path)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_missing_is_listed_with_its_remedy(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, SKIPPING, ci=False)
    assert status == pytest.ExitCode.OK
    assert "2 skipped" in output
    assert "left out on this machine" in output
    assert "1 x no no-such-tool on this machine; on Debian: apt-get install no-such-tool" in output


def test_in_ci_nothing_may_be_skipped(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, SKIPPING, ci=True)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 error" in output  # setup and call
    assert "no no-such-tool on this machine" in output
    assert "for a reason of its own" in output


def test_a_module_skipped_whole_fails_in_ci(tmp_path: Path) -> None:
    source = "import pytest\npytest.importorskip('no_such_module')\n"
    status, output = run_pytest(tmp_path, source, ci=True)
    assert status != pytest.ExitCode.OK
    assert "no_such_module" in output


def test_a_blocking_call_of_ours_on_a_loop_fails(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, BLOCKING, ci=False)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "BlockingError" in output
