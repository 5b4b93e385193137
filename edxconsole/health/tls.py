"""The certificate that a port shows, and how long it still holds. Nothing is verified, nothing is sent."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, dead, good, poor, unknown
from edxconsole.health.wire import Wire

LIMIT = 64 * 1024
"""bytes of a handshake: chains of certificates are long"""
SOON = 14
"""days before its end from which on a certificate is a problem"""
DAY = 86400.0


async def check_tls(wire: Wire, spec: HealthSpec) -> Answer:
    """The handshake's certificate, as a client without a site's name gets it."""
    wire.allow(LIMIT)
    try:
        der = await _certificate(wire, spec.host_header or None)
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or "") or "UNRECOGNIZED" in (error.reason or ""):
            return unknown("wants the name of a site before it shows a certificate")
        raise ValueError(f"not with TLS ({clean_line(error.reason or str(error), 60)})") from None
    return judge(der, time.time())


async def _certificate(wire: Wire, name: str | None) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = _context().wrap_bio(incoming, outgoing, server_hostname=name)
    while True:
        try:
            talk.do_handshake()
        except ssl.SSLWantReadError:
            await wire.send(outgoing.read())
            incoming.write(await wire.some())
            continue
        await wire.send(outgoing.read())
        found = talk.getpeercert(binary_form=True)
        if found is None:
            raise ValueError("shows no certificate")
        return found


def _context() -> ssl.SSLContext:
    """Takes whatever a server of the last twenty years offers: it is looked at, not trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def judge(der: bytes, now: float) -> Answer:
    """What a certificate (DER) means at `now`, epoch s. Raises ValueError when it is none."""
    from cryptography import x509

    found = x509.load_der_x509_certificate(der)
    begins, ends = (_utc(found, "before"), _utc(found, "after"))
    whose = clean_line(found.subject.rfc4514_string(), 60) or "no name"
    day = f"{ends:%Y-%m-%d}"
    left = (ends.timestamp() - now) / DAY
    if now < begins.timestamp():
        return dead(f"the certificate of {whose} holds only from {begins:%Y-%m-%d} on")
    if left <= 0:
        return dead(f"the certificate of {whose} expired on {day}: browsers refuse the site")
    days = f"{int(left)} day{'' if int(left) == 1 else 's'}"
    if left < SOON:
        return poor(f"the certificate of {whose} expires in {days}, on {day}; renew it, then reload")
    return good(f"the certificate of {whose} holds {days}, until {day}")


def _utc(found: object, which: str) -> datetime:
    """not_valid_before or _after, of whichever name this version of cryptography has."""
    aware = getattr(found, f"not_valid_{which}_utc", None)
    moment = aware if aware is not None else getattr(found, f"not_valid_{which}").replace(tzinfo=UTC)
    assert isinstance(moment, datetime)
    return moment
