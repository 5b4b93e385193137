"""What a check asks, in words; and what is known once it was asked."""

from __future__ import annotations

import typing

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import State
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.health.asked import question
from edxconsole.health.checks import ask_check, checks_there
from edxconsole.inventory.model import Host
from edxconsole.transport.local_transport import LocalTransport
from tests.unit.health.serving import snapshot

KINDS = typing.get_args(HealthSpec.model_fields["kind"].annotation)


def spec(kind: str, **more: typing.Any) -> HealthSpec:
    return HealthSpec.model_validate({"name": "it", "kind": kind, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_check_says_what_it_asks(kind: str) -> None:
    words = question(snapshot(4711), "x", Check("it", spec(kind, port=4711, path="/a/path")))
    assert words
    assert "{" not in words


def test_it_says_where_and_as_whom() -> None:
    check = Check("it", spec("http", port=8000, path="/heartbeat?extended", host_header="localhost"))
    said = question(snapshot(8000, address="10.0.0.7"), "x", check)
    assert said == "GET /heartbeat?extended at 10.0.0.7:8000 as localhost"
    assert question(snapshot(), "x", Check("it", spec("tls"))) == "the certificate", "nothing listens"
    tls = Check("it", spec("tls", port=443))
    said = question(snapshot(443), "x", tls, ("lms.example", "cms.example"))
    assert said == "the certificate at 127.0.0.1:443 for lms.example, cms.example"
    absent = Check("it", spec("absent", path="/etc/flag"))
    assert question(snapshot(), "x", absent) == "whether /etc/flag exists"


def test_of_a_container_it_is_the_address_of_its_own() -> None:
    unit = Unit("docker", "tutor:lms", "running", UnitHealth.RUNNING, Identity(), address="172.18.0.9")
    check = Check("heartbeat in tutor:lms", spec("http", port=8000, path="/heartbeat"), unit)
    assert question(snapshot(8000), "x", check) == "GET /heartbeat at 172.18.0.9:8000"


def test_every_check_of_the_catalog_is_listed_also_those_that_cost() -> None:
    catalog = load_catalog()
    found = {c.name: c.spec for c in checks_there(snapshot(), catalog, "lms")}
    assert {n: s.on_demand for n, s in found.items()} == {"heartbeat": False, "extended heartbeat": True}
    assert all(s.cost for s in found.values() if s.on_demand)
    assert checks_there(snapshot(), catalog, "no-such-component") == ()


async def test_an_answer_comes_with_its_words_and_how_long_it_took() -> None:
    transport = LocalTransport(Host(name="h", transport="local"))
    await transport.connect()
    try:
        check = Check("flag", spec("absent", path="/no/such/file", every=60))
        asked = await ask_check(transport, snapshot(), "x", check)
    finally:
        await transport.close()
    assert asked.check is check
    assert asked.text == "no /no/such/file"
    assert asked.evidence.text.startswith("flag: no /no/such/file (")
    assert (asked.evidence.state, asked.evidence.every) == (State.UP, 60)
    assert asked.took > 0
