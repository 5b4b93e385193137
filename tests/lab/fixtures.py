"""pytest fixtures for real hosts. See README.md for how to ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edxconsole.demo.namespaces import Net
from tests.lab import cluster as clusters
from tests.lab import needs, network
from tests.lab.cluster import LabCluster
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.old import boot_old_supervisor
from tests.lab.systemd import NEEDS as SYSTEMD_NEEDS
from tests.lab.systemd import boot_systemd


def require(*names: str) -> None:
    """Leave the test out, saying why, when the machine lacks one of these."""
    for name in names:
        if (lacking := needs.missing(name)) is not None:
            pytest.skip(f"left out: {lacking}")


@pytest.fixture(scope="session")
def lab_network() -> Net:
    """The network of this test process; entering it is done once."""
    require("namespaces", "sshd", "ssh")
    return network.enter()


@pytest.fixture
def lab(lab_network: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Makes hosts that end with the test."""
    with Lab(lab_network, tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def module_lab(lab_network: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Makes hosts that end with the test module."""
    with Lab(lab_network, tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def host(lab: Lab) -> LabHost:
    """One fresh host with sshd, and a user ops who may sudo."""
    return lab.host()


@pytest.fixture(scope="session")
def cluster(lab_network: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCluster]:
    """The light Open edX cluster: everything but RabbitMQ. Shared; mend what you break."""
    require(*clusters.NEEDS)
    with Lab(lab_network, tmp_path_factory.mktemp("cluster")) as made:
        yield clusters.start_cluster(made)


@pytest.fixture(scope="session")
def full_cluster(lab_network: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCluster]:
    """The whole Open edX cluster, its workers' broker a real RabbitMQ. Shared; mend what you break."""
    require(*clusters.NEEDS_FULL)
    with Lab(lab_network, tmp_path_factory.mktemp("full")) as made:
        yield clusters.start_cluster(made, rabbit=True)


@pytest.fixture(scope="session")
def systemd_host(lab_network: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A host that booted a real systemd, with nginx, memcached and redis under it. Shared."""
    require(*SYSTEMD_NEEDS)
    with Lab(lab_network, tmp_path_factory.mktemp("systemd")) as made:
        yield boot_systemd(made)


@pytest.fixture(scope="session", params=sorted(needs.SUPERVISORS))
def old_supervisor(
    request: pytest.FixtureRequest, lab_network: Net, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabHost]:
    """A host with supervisor 3.0, 3.1.3 and 3.2.3 in turn, on Python 2.7. Shared."""
    version = str(request.param)
    require("root", f"supervisor-{version}")
    with Lab(lab_network, tmp_path_factory.mktemp("old")) as made:
        yield boot_old_supervisor(made, version)
