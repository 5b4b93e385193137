"""The certificate that a port shows, and how long it still holds. Nothing is verified, nothing is sent."""

from __future__ import annotations

import ssl
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.model import State
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, unknown
from edxconsole.health.wire import Wire

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LIMIT = 64 * 1024
"""bytes of a handshake: chains of certificates are long"""
SOON = 14
"""days before its end from which on a certificate is a problem"""
LATE = 0.25
"""of a life that is shorter than most: what renews them, as Caddy, does so when a third of it is left"""
DAY = 86400.0
NAMELESS = "wants the name of a site before it shows a certificate; name the sites in `sites:` of hosts.yaml"


REFUSED = unknown("shows no certificate for this name, which may be served elsewhere")


@dataclass(frozen=True, slots=True)
class Shown(Answer):
    """Of a certificate that was shown."""

    left: float = 0.0
    """days until its end"""


async def check_tls(wire: Wire, spec: HealthSpec) -> Answer:
    """The handshake's certificate, as a client gets it that names the site `host_header`, "" for none."""
    wire.allow(LIMIT)
    try:
        der = await _certificate(wire, spec.host_header or None)
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or "") or "UNRECOGNIZED" in (error.reason or ""):
            return REFUSED if spec.host_header else unknown(NAMELESS)
        raise ValueError(f"not with TLS ({clean_line(error.reason or str(error), 60)})") from None
    return judge(der, time.time(), spec.host_header)


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


def judge(der: bytes, now: float, site: str = "") -> Answer:
    """What a certificate (DER) means at `now`, epoch s.

    Args:
        site: the name it was asked for.

    Raises ValueError when it is none.
    """
    told = _read(der)
    left = (told.ends.timestamp() - now) / DAY
    day, the_one = f"{told.ends:%Y-%m-%d}", f"the certificate of {told.whose}"
    if now < told.begins.timestamp():
        return Shown(State.DOWN, f"{the_one} holds only from {told.begins:%Y-%m-%d} on", left=left)
    if left <= 0:
        return Shown(State.DOWN, f"{the_one} expired on {day}: browsers refuse the site", left=left)
    life = (told.ends - told.begins).total_seconds() / DAY
    if left < min(SOON, LATE * life):
        text = f"{the_one} expires in {_span(left)}, on {day}; renew it, then reload"
        return Shown(State.DEGRADED, text, left=left)
    if site and not any(covers(name, site) for name in told.names):
        text = f"shown is {the_one}, not one for this name, which may be served elsewhere"
        return Shown(State.UNKNOWN, text, left=left)
    return Shown(State.UP, f"{the_one} holds {_span(left)}, until {day}", left=left)


def _span(days: float) -> str:
    """ "90 days"; "11 hours" of less than one."""
    count, unit = (int(days), "day") if days >= 1 else (int(days * 24), "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def covers(name: str, site: str) -> bool:
    """Whether a name in a certificate is this site: "*" stands for its first label alone (RFC 6125)."""
    name, site = name.lower().rstrip("."), site.lower()
    first, _, rest = name.partition(".")
    return name == site or (first == "*" and rest != "" and site.partition(".")[2] == rest)


class _Told(NamedTuple):
    """What a certificate says."""

    begins: datetime
    ends: datetime
    whose: str
    names: tuple[str, ...]


def _read(der: bytes) -> _Told:
    """Raises ValueError, whatever cryptography makes of what a hostile server says."""
    from cryptography import x509

    try:
        with warnings.catch_warnings(action="ignore"):
            found = x509.load_der_x509_certificate(der)
            names = _names(found)
            subject = found.subject.rfc4514_string() or ", ".join(names[:3])
            whose = clean_line(subject, 60) or "no name"
            return _Told(_utc(found, "before"), _utc(found, "after"), whose, names)
    except (x509.InvalidVersion, TypeError) as error:
        raise ValueError(f"not with a certificate ({clean_line(str(error), 60)})") from error


def _names(found: Certificate) -> tuple[str, ...]:
    """The DNS names that a certificate is for, of one without any its common name; () for unreadable ones."""
    from cryptography import x509

    try:
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(alternatives.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(one.value) for one in common)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()


def _utc(found: Certificate, which: str) -> datetime:
    """not_valid_before or _after, of whichever name this version of cryptography has."""
    aware = getattr(found, f"not_valid_{which}_utc", None)
    moment = aware if aware is not None else getattr(found, f"not_valid_{which}").replace(tzinfo=UTC)
    assert isinstance(moment, datetime)
    return moment
