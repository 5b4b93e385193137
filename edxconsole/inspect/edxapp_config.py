"""The endpoints that a configuration file of Open edX names: whom it will talk to, at which host and port.

Which key names which component is data: catalog/endpoints.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edxconsole.catalog.endpoints import EndpointRule, EndpointRules, load_endpoint_rules
from edxconsole.inspect.config_text import parse_config
from edxconsole.numerals import natural

__all__ = ["Claim", "claims_of", "dotted", "parse_config"]

MAX_CLAIMS = 500

_LONGEST_VALUE = 2000
_MAX_HOSTS = 32
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,30})://(.*)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}(?:%\w{1,15})?\]")
_HOST_PORT = re.compile(rf"({_HOST.pattern})(?::([0-9]{{1,5}}))?")
_SOCKET = re.compile(r"(?:unix:)?(/[^\0-\x20?#]{1,200})")
_PLAIN_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}")
_END = re.compile(r"[/?#]")
_BETWEEN = re.compile(r" *[,;] *")
_ODD = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Claim:
    """One endpoint that a file names. Nothing in it is secret."""

    component: str
    """catalog id"""
    host: str
    """"" where it is a UNIX socket; IPv6 without brackets"""
    port: int | None
    """the one that is said, else the usual one; None: neither"""
    unix: str | None
    """absolute path of a socket on the host that has the file"""
    key: str
    """where the file says so: CACHES.default.LOCATION, ELASTIC_SEARCH_CONFIG[1].host"""
    path: str
    """the file"""
    required: bool = False
    """the program that reads the file does not work without it"""

    @property
    def address(self) -> str:
        """host:port, host, or unix:/path."""
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    host: str
    port: int | None
    unix: str | None


def claims_of(tree: Mapping[str, object], path: str) -> tuple[Claim, ...]:
    """Every endpoint that a parsed file names, in the order of the rules; each place and endpoint once.

    What is no address (a template that was not rendered, an empty value) is left out. Raises nothing.
    """
    rules = load_endpoint_rules()
    claims: dict[Claim, None] = {}
    for rule in rules.rules:
        for keys, node in _at(tree, tuple(rule.at.split(".")) if rule.at else ()):
            for claim in _claims(rules, rule, keys, node, path):
                claims[claim] = None
                if len(claims) >= MAX_CLAIMS:
                    return tuple(claims)
    return tuple(claims)


def dotted(keys: tuple[str | int, ...]) -> str:
    """Keys for the eye: a.b[1], elements counted from 1; what is unprintable in them is `?`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key + 1}]"
        else:
            text += ("." if text else "") + _ODD.sub("?", key[:100])
    return text


def _at(node: object, way: tuple[str, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Every place that a rule's way leads to."""
    if not way:
        yield (), node
        return
    steps: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(node, Mapping):
        steps = iter(node.items()) if way[0] == "*" else iter([(way[0], node.get(way[0]))])
    elif isinstance(node, list) and way[0] == "*":
        steps = iter(enumerate(node))
    for key, child in steps:
        for keys, found in _at(child, way[1:]):
            yield (key, *keys), found


def _claims(
    rules: EndpointRules, rule: EndpointRule, keys: tuple[str | int, ...], node: object, path: str
) -> Iterator[Claim]:
    beside: Mapping[str, object] = node if isinstance(node, Mapping) else {}
    if rule.host and not isinstance(node, Mapping):
        return
    value = beside.get(rule.host) if rule.host else node
    key = dotted((*keys, rule.host) if rule.host else keys)
    port = _port(beside.get(rule.port)) if rule.port else None
    kind = _kind(rule, beside)
    if kind == "":
        return
    for address in _addresses(value if value not in (None, "") else rule.empty):
        scheme = rules.schemes.get(address.scheme)
        component = (scheme.component if scheme else "") or kind or rule.component
        if not component:
            continue
        usual = (scheme.port if scheme else None) or rules.ports.get(component)
        at = None if address.unix else address.port or port or usual
        yield Claim(component, address.host, at, address.unix, key, path, rule.required)


def _kind(rule: EndpointRule, beside: Mapping[str, object]) -> str | None:
    """The component that `told_by` tells; "": nothing that is connected to; None: it does not tell."""
    told = beside.get(rule.told_by) if rule.told_by else None
    if not isinstance(told, str) or not told:
        return None
    text = told[:200].lower()
    found = [kind for pattern, kind in rule.kinds.items() if fnmatchcase(text, pattern)]
    return found[0] if found else (None if rule.component else "")


def _addresses(value: object) -> Iterator[_Address]:
    """The hosts and sockets that a value names: one, a list of them, or several split by commas."""
    values = value[:_MAX_HOSTS] if isinstance(value, list) else [value]
    for one in values:
        if isinstance(one, str) and 0 < len(one) <= _LONGEST_VALUE:
            yield from _of_text(one.strip())


def _of_text(text: str) -> Iterator[_Address]:
    url = _SCHEME.fullmatch(text)
    scheme = url[1].lower() if url else ""
    socket = _SOCKET.match(url[2] if url and scheme in ("unix", "redis+socket") else text)
    if socket is not None and (url is None or scheme in ("unix", "redis+socket")):
        yield _Address(scheme if url else "", "", None, socket[1])
        return
    rest = url[2] if url else text
    if scheme in ("http", "https"):
        rest = _END.split(rest, maxsplit=1)[0]
    elif "@" in rest.partition("?")[0]:
        rest = rest.partition("?")[0]
    # Brokers' and databases' passwords are written unquoted: a "/" or "?" before the "@" is one of theirs.
    rest = _END.split(rest.rpartition("@")[2], maxsplit=1)[0]
    for part in _BETWEEN.split(rest)[:_MAX_HOSTS]:
        found = _HOST_PORT.fullmatch(f"[{part}]" if _PLAIN_IPV6.fullmatch(part) else part)
        port = _port(found[2]) if found else None
        if found is not None and (found[2] is None or port is not None):
            yield _Address(scheme, found[1].strip("[]"), port, None)


def _port(value: object) -> int | None:
    if isinstance(value, str):
        value = natural(value.strip(), 9)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536:
        return value
    return None
