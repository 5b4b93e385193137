"""What every test gets: real hosts when it asks for them, an event loop that nothing may block,
and skips that nobody can overlook.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from blockbuster import blockbuster_ctx

# With --import-mode=importlib nothing puts the repository's root where `tests.lab` is found.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.lab import needs, network

pytest_plugins = ["tests.lab.fixtures"]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
LEFT_OUT = "left out: "

NEEDED_BY_MARKER = {
    "hosts": ("namespaces", "sshd", "ip"),
    "root": ("root",),
    "systemd": ("root", "namespaces", "systemd-nspawn", "systemd-image"),
}
"""marker -> what it implies"""

SHARED_CLUSTERS = {"cluster", "full_cluster", "systemd_host"}
SHARED_HOSTS = {"module_lab", "running"}
CLUSTER_TIMEOUT = 180
"""seconds: the first test of a group also boots its cluster"""


def pytest_configure(config: pytest.Config) -> None:
    # Whoever starts us in the background has them ignored, and so would all that we start and interrupt.
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # How fast inputs are made and looked at says how crowded the machine is, nothing of the code.
    # In CI Hypothesis takes a profile of its own, which is so too, and never random.
    if not IN_CI:
        slow = hypothesis.HealthCheck.too_slow
        hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[slow])
        hypothesis.settings.load_profile("house")
    config.addinivalue_line(
        "markers",
        "needs(name, ...): commands or capabilities of tests/lab/needs.py; missing ones are reported",
    )
    network.prepare()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Enter the hosts' network before any test runs: threads made later, by whomever, are then in it."""
    wanted = any("lab_network" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and needs.missing("namespaces") is None:
        network.enter()


def needed(item: pytest.Item) -> list[str]:
    """Everything a test says it needs, in order and once."""
    names = [
        name
        for marker, implied in NEEDED_BY_MARKER.items()
        if item.get_closest_marker(marker)
        for name in implied
    ]
    names += [str(name) for mark in item.iter_markers("needs") for name in mark.args]
    return list(dict.fromkeys(names))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a cluster, or the hosts of their module, run one by one in one xdist worker."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture in fixtures & SHARED_CLUSTERS:
            item.add_marker(pytest.mark.xdist_group(fixture))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(CLUSTER_TIMEOUT))
        if fixtures & SHARED_HOSTS and not fixtures & SHARED_CLUSTERS:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in needed(item):
        lacking = needs.missing(name)
        if lacking is not None:
            pytest.skip(f"{LEFT_OUT}{lacking}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that was left out is a test that failed, whoever skipped it and why."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself whole."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped whole, which CI does not allow: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One block that says which tests this machine could not run, and how to get them."""
    left_out: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        _, found, reason = _reason(report).partition(LEFT_OUT)
        if found:
            left_out[reason] = left_out.get(reason, 0) + 1
    if left_out:
        terminalreporter.section("left out on this machine", yellow=True)
        for reason, count in sorted(left_out.items()):
            terminalreporter.line(f"{count:4d} x {reason}")


@pytest.fixture(autouse=True)
def nothing_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Our own code may not make a blocking call on an event loop while a test runs.

    The demo's host maker is excepted: tests use it from the outside, to break their hosts.
    """
    function = getattr(request.node, "function", None)
    if not inspect.iscoroutinefunction(function):
        yield
        return
    with blockbuster_ctx(["edxconsole", "screens", "widgets"], excluded_modules=["edxconsole.demo"]) as guard:
        # asyncssh looks once per login whether ~/.ssh/crt exists, though told to use no such thing.
        guard.functions["os.stat"].can_block_in("asyncssh/connection.py", "prepare")
        yield
