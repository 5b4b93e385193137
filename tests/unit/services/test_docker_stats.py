"""What a container uses, computed as `docker stats` does; what is not told is unknown, not zero."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.services.docker_stats import Usage, to_usage
from tests.unit.services.docker_standin import STREAMS

# The keys and numbers that count in the example of Docker's API reference (v1.41, ContainerStats).
EXAMPLE: Any = {
    "pids_stats": {"current": 3},
    "memory_stats": {
        "stats": {"total_inactive_file": 37216, "inactive_file": 1},
        "max_usage": 6651904,
        "usage": 6537216,
        "limit": 67108864,
    },
    "cpu_stats": {
        "cpu_usage": {"percpu_usage": [8646879, 24472255, 36438778, 30657443], "total_usage": 100215355},
        "system_cpu_usage": 739306590000000,
        "online_cpus": 4,
    },
    "precpu_stats": {
        "cpu_usage": {"total_usage": 100093996},
        "system_cpu_usage": 739306580000000,
        "online_cpus": 4,
    },
}


def test_the_references_example() -> None:
    assert to_usage(EXAMPLE) == Usage(cpu=4.85, memory=6500000, memory_limit=67108864, pids=3)


def test_cgroup_v2_and_no_limit() -> None:
    told = copy.deepcopy(EXAMPLE)
    told["memory_stats"] = {"usage": 100, "stats": {"inactive_file": 40}, "limit": 9223372036854771712}
    del told["cpu_stats"]["online_cpus"]
    assert to_usage(told) == Usage(cpu=4.85, memory=60, memory_limit=None, pids=3)


def test_where_docker_reads_no_cgroup_it_is_unknown() -> None:
    """As dockerd 20.10.24 and 26.1.5 answer on cgroup v1 of Linux 6.18, and for one that does not run."""
    assert to_usage(STREAMS["stats_of_a_running_container"]) == Usage()


@pytest.mark.parametrize("key", ["cpu_stats", "precpu_stats", "memory_stats", "pids_stats"])
def test_what_is_missing_is_unknown(key: str) -> None:
    told = copy.deepcopy(EXAMPLE)
    told[key] = None
    usage = to_usage(told)
    assert None in (usage.cpu, usage.memory, usage.pids)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "cpu_usage", "total_usage", "system_cpu_usage", "usage", "limit", "stats", "inactive_file", "current",
        "online_cpus", "percpu_usage",
    ]), inner, max_size=4),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(list(EXAMPLE)), anything))
def test_no_answer_raises(told: dict[str, Any]) -> None:
    usage = to_usage(told)
    assert usage.cpu is None or usage.cpu >= 0
