"""Certificates name by name, of real TLS servers of Python's: one as Caddy, one as nginx choose them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import Check, checks_of
from edxconsole.cluster.model import State
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.health.answer import Answer, dead, good
from edxconsole.health.sites import ask_sites, for_site
from edxconsole.health.tls import covers, judge
from edxconsole.inventory.names import MAX_SITES
from tests.unit.health.certificates import NOW, certificate
from tests.unit.health.serving import Serve, ask, ask_spec, says, snapshot

CADDY = load_catalog().components["caddy"]
LMS, STUDIO, SHOP = "courses.example.org", "studio.example.org", "shop.example.org"


def context(directory: Path, name: str, days: float) -> ssl.SSLContext:
    pem, key = certificate(days, name=name, also=[name])
    path = directory / f"{days}.pem"
    path.write_bytes(pem + key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    return made


def front(directory: Path, days: Mapping[str, float], *, default: str = "") -> ssl.SSLContext:
    """A server that has a certificate for each of these names.

    Args:
        default: whose it shows to who names none or another, as nginx does; "": none, as Caddy does.
    """
    contexts = {name: context(directory, name, left) for name, left in days.items()}
    made = contexts[default] if default else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def choose(shown: ssl.SSLObject, name: str, _: ssl.SSLContext) -> int | None:
        if name in contexts:
            shown.context = contexts[name]
        elif not default:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    made.sni_callback = choose
    return made


async def shows(directory: Path, days: Mapping[str, float], *, default: str = "") -> Serve:
    """Serves TLS with that front; asyncio's own servers hang up on what they refuse, without an alert."""
    tls = await asyncio.to_thread(front, directory, days, default=default)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = tls.wrap_bio(incoming, outgoing, server_side=True)
        try:
            while data := await reader.read(4096):
                incoming.write(data)
                with suppress(ssl.SSLWantReadError):
                    talk.do_handshake()
                writer.write(outgoing.read())
        except ssl.SSLError:
            writer.write(outgoing.read())
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("days", "asked", "state", "words"),
    [
        ({LMS: 90.5}, [LMS], State.UP, f"check: {LMS}: the certificate of CN={LMS} holds 90 days, until "),
        ({LMS: 90.5, STUDIO: 40.5}, [LMS, STUDIO], State.UP, f"check: {STUDIO}: the certificate of "),
        ({LMS: 90.5, STUDIO: 40.5}, [LMS, STUDIO], State.UP, "; 2 of 2 sites are well"),
        ({LMS: 3.5, STUDIO: 9.5, SHOP: 40}, [STUDIO, LMS, SHOP], State.DEGRADED, f": {LMS}: the certificate"),
        ({LMS: 3.5, STUDIO: 9.5, SHOP: 40}, [STUDIO, LMS, SHOP], State.DEGRADED, "expires in 3 days, on "),
        ({LMS: 3.5, STUDIO: 9.5, SHOP: 40}, [STUDIO, LMS, SHOP], State.DEGRADED, "; 1 of 3 sites are well"),
        ({LMS: 3.5, STUDIO: -0.5}, [LMS, STUDIO], State.DOWN, f"{STUDIO} expired on "),
        ({LMS: 90.5}, [LMS, STUDIO], State.UNKNOWN, f"{STUDIO}: shows no certificate for this name"),
        ({LMS: 90.5}, [LMS, STUDIO], State.UNKNOWN, "; 1 of 2 sites are well"),
        ({SHOP: 90.5}, [LMS, STUDIO], State.DEGRADED, f"for none of the sites of hosts.yaml, as for {LMS}"),
    ],
)
async def test_a_front_that_wants_a_name_is_asked_for_each_and_the_worst_answers(
    tmp_path: Path, days: dict[str, float], asked: list[str], state: State, words: str
) -> None:
    found = await ask("tls", await shows(tmp_path, days), sites=asked)
    assert found.state is state, found
    assert words in found.text


async def test_without_sites_a_front_that_wants_a_name_is_unknown_with_the_remedy(tmp_path: Path) -> None:
    found = await ask("tls", await shows(tmp_path, {LMS: 90.5}))
    assert found.state is State.UNKNOWN
    assert found.text.startswith("check: wants the name of a site before it shows a certificate; ")
    assert found.text.endswith("; name the sites in `sites:` of hosts.yaml")


async def test_a_front_with_a_default_is_asked_by_name_where_there_are_names(tmp_path: Path) -> None:
    """nginx: what it shows to those who name no site says nothing of the other sites."""
    serve = await shows(tmp_path, {SHOP: 90.5, LMS: 5.5}, default=SHOP)
    nameless = await ask("tls", serve)
    assert (nameless.state, f"CN={SHOP} holds 90 days" in nameless.text) == (State.UP, True), nameless
    named = await ask("tls", serve, sites=[SHOP, LMS])
    assert (named.state, f"check: {LMS}: " in named.text) == (State.DEGRADED, True), named
    other = await ask("tls", serve, sites=[SHOP, STUDIO])
    assert (other.state, f"{STUDIO}: shown is the certificate of CN={SHOP}, not" in other.text) == (
        State.UNKNOWN,
        True,
    ), other


async def test_a_check_that_says_its_own_name_asks_for_that_alone(tmp_path: Path) -> None:
    serve = await shows(tmp_path, {SHOP: 90.5, LMS: -5.0})
    found = await ask("tls", serve, sites=[LMS], host_header=SHOP)
    assert (found.state, f"CN={SHOP} holds" in found.text) == (State.UP, True), found


async def test_what_is_no_matter_of_names_is_said_once() -> None:
    found = await ask("tls", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), sites=[LMS, STUDIO])
    assert found.state is State.DEGRADED
    assert "answers, but not with TLS" in found.text
    assert LMS not in found.text


async def test_a_container_without_https_is_not_judged_for_it() -> None:
    """Tutor behind a load balancer that has the certificates: ENABLE_HTTPS is false."""
    assert CADDY.tutor is not None
    (spec,) = (check for check in CADDY.tutor.health if check.kind == "tls")
    assert (spec.port, spec.gate, spec.every) == (443, False, 900)
    closed = spec.model_copy(update={"port": 1})
    caddy = Unit("docker", "t:caddy", "running", UnitHealth.RUNNING, address="127.0.0.1")
    for asked in ([], [LMS, STUDIO]):
        found = await ask_spec(closed, snapshot(), caddy, sites=asked)
        assert found.state is State.UNKNOWN
        assert found.text.endswith(
            "nothing listens on 127.0.0.1:1, inside its container: no HTTPS is served there"
        )
    proxy = replace(snapshot(1).listeners[0], process="docker-proxy", address="0.0.0.0")
    published = await ask_spec(closed, replace(snapshot(), listeners=(proxy,)), caddy, sites=[LMS])
    assert (published.state, published.text.endswith("inside its container")) == (State.DOWN, True), published


def test_caddy_is_asked_for_its_certificates_in_its_container() -> None:
    caddy = Unit("docker", "t:caddy", "running", UnitHealth.RUNNING, address="172.18.0.9")
    found = checks_of(CADDY, [caddy], own=False)
    assert [check.name for check in found] == ["http in t:caddy", "certificate in t:caddy"]


async def test_sites_are_asked_no_longer_than_is_fair_to_other_checks() -> None:
    asked: list[str] = []

    async def slow(site: str) -> tuple[Answer, bytes]:
        asked.append(site)
        return good("holds"), b""

    found, _ = await ask_sites([LMS, STUDIO, SHOP], slow, enough=-1.0)
    assert asked == [LMS]
    assert (found.state, found.text) == (
        State.UNKNOWN,
        f"{STUDIO}: not asked, as the others took too long; 1 of 3 sites are well",
    )

    async def silent(site: str) -> tuple[Answer, bytes]:
        return dead("192.0.2.1:443 gave no answer within 6 s"), b""

    found, _ = await ask_sites([LMS, STUDIO], silent, enough=-1.0)
    assert (found.state, found.text) == (State.DOWN, "192.0.2.1:443 gave no answer within 6 s")


async def test_no_more_sites_are_asked_than_hosts_yaml_may_name() -> None:
    asked: list[str] = []

    async def well(site: str) -> tuple[Answer, bytes]:
        asked.append(site)
        return good("holds"), b""

    await ask_sites([f"s{i}.example.org" for i in range(20)] * 2, well)
    assert asked == [f"s{i}.example.org" for i in range(MAX_SITES)]


def test_a_check_for_a_site_differs_in_the_name_alone() -> None:
    spec = HealthSpec(name="certificate", kind="tls", port=443, every=900, gate=False)
    found = for_site(Check("c", spec), LMS)
    assert found.name == "c"
    assert found.spec == HealthSpec(**(spec.model_dump() | {"host_header": LMS}))


@pytest.mark.parametrize(
    ("name", "site", "covered"),
    [
        ("courses.example.org", "courses.example.org", True),
        ("Courses.Example.ORG.", "courses.example.org", True),
        ("*.example.org", "courses.example.org", True),
        ("*.example.org", "a.courses.example.org", False),
        ("*.example.org", "example.org", False),
        ("c*.example.org", "courses.example.org", False),
        ("*", "openedx", False),
        ("*", "courses.example.org", False),
        ("", "courses.example.org", False),
    ],
)
def test_which_names_are_a_site(name: str, site: str, covered: bool) -> None:
    assert covers(name, site) is covered


@pytest.mark.parametrize(
    ("name", "also", "state"),
    [
        (LMS, [], State.UP),
        ("anything", ["x.example.net", "*.example.org"], State.UP),
        (LMS, ["x.example.net"], State.UNKNOWN),
        ("anything", [], State.UNKNOWN),
    ],
)
def test_a_certificate_is_for_its_alternative_names_else_its_common_name(
    name: str, also: list[str], state: State
) -> None:
    pem, _ = certificate(90, name=name, also=also)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert judge(der, NOW.timestamp(), LMS).state is state
    assert judge(der, NOW.timestamp()).state is State.UP


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=4))
def test_a_certificate_with_any_damage_is_judged_or_a_value_error(at: int, bytes_: bytes) -> None:
    start = at % len(DER)
    damaged = DER[:start] + bytes_ + DER[start + len(bytes_) :]
    try:
        found = judge(damaged, NOW.timestamp(), LMS)
    except ValueError:
        return
    assert found.state in State


_PEM, _ = certificate(90, also=[LMS])
DER = x509.load_pem_x509_certificate(_PEM).public_bytes(Encoding.DER)
