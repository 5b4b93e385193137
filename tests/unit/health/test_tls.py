"""Certificates by a real handshake with a server of Python's, valid, ending soon, ended, not begun."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import checks_of
from edxconsole.cluster.model import State
from edxconsole.health.endpoints import endpoint_for
from edxconsole.health.tls import judge
from edxconsole.transport.base import TcpEndpoint
from tests.unit.health.certificates import NOW, certificate
from tests.unit.health.serving import ask, says, snapshot

CATALOG = load_catalog()


def context(directory: Path, days: float, since: float = -100) -> ssl.SSLContext:
    pem, key = certificate(days, since=since)
    (directory / "site.pem").write_bytes(pem + key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / "site.pem")
    return made


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (90.5, State.UP, "the certificate of CN=lms.example holds 90 days, until "),
        (13.5, State.DEGRADED, "expires in 13 days, on "),
        (1.5, State.DEGRADED, "expires in 1 day, on "),
        (-0.5, State.DOWN, "expired on "),
    ],
)
async def test_a_certificate_is_judged_by_its_end(
    tmp_path: Path, days: float, state: State, words: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    tls = await asyncio.to_thread(context, tmp_path, days)
    found = await ask("tls", serve, tls=tls)
    assert found.state is state, found
    assert words in found.text


@pytest.mark.parametrize(
    ("since", "days", "state", "words"),
    [
        (-0.1, 0.4, State.UP, "the certificate of CN=lms.example holds 9 hours, until "),
        (-0.4, 0.1, State.DEGRADED, "expires in 2 hours, on "),
        (-2, 4.5, State.UP, "holds 4 days"),
        (-5, 1.2, State.DEGRADED, "expires in 1 day, on "),
        (-35, 10.5, State.DEGRADED, "expires in 10 days, on "),
    ],
)
def test_a_short_life_is_a_problem_only_near_its_end(
    since: float, days: float, state: State, words: str
) -> None:
    """Caddy's own authority gives twelve hours, public ones six days to three months."""
    der = x509.load_pem_x509_certificate(certificate(days, since=since)[0]).public_bytes(Encoding.DER)
    found = judge(der, NOW.timestamp() + 1)
    assert (found.state, words in found.text) == (state, True), found


def test_one_without_a_subject_is_called_by_what_it_is_for() -> None:
    """As Caddy 2.6.2 makes them."""
    pem, _ = certificate(90.5, name="", also=["courses.example.org"])
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    found = judge(der, NOW.timestamp(), "courses.example.org")
    assert found.text.startswith("the certificate of courses.example.org holds 90 days")


def test_one_that_does_not_hold_yet_is_down() -> None:
    der = x509.load_pem_x509_certificate(certificate(90, since=5)[0]).public_bytes(Encoding.DER)
    found = judge(der, NOW.timestamp())
    assert (found.state, "holds only from" in found.text) == (State.DOWN, True)


async def test_what_speaks_no_tls_is_told() -> None:
    found = await ask("tls", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert (found.state, "not with TLS" in found.text) == (State.DEGRADED, True), found


async def test_what_wants_a_name_is_unknown() -> None:
    """Caddy's answer to a client that names no site: the alert internal_error."""
    found = await ask("tls", says(b"\x15\x03\x03\x00\x02\x02\x50"))
    assert (found.state, "wants the name of a site" in found.text) == (State.UNKNOWN, True), found
    assert "name the sites in `sites:` of hosts.yaml" in found.text


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        judge(data, 0.0)


def test_a_port_of_tls_is_asked_and_only_where_there_is_one() -> None:
    spec = HealthSpec(name="certificate", kind="tls")
    assert endpoint_for(snapshot(80, 48010, 48000, 18000), "x", spec)[0] == TcpEndpoint("127.0.0.1", 48000)
    assert endpoint_for(snapshot(80, 48000, 443), "x", spec)[0] == TcpEndpoint("127.0.0.1", 443)
    nginx = CATALOG.components["nginx"]
    for ports, there in (((80, 443), True), ((80, 48000), True), ((80, 18000), False), ((), False)):
        found = [check.name for check in checks_of(nginx, (), own=True, ports=ports)]
        assert ("certificate" in found) == there
