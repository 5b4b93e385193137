"""A parsed configuration flattened: one leaf per setting, fit to be shown, secrets masked."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edxconsole.inspect.edxapp_config import dotted
from edxconsole.inspect.masking import MASK, is_secret_setting, mask_setting

MAX_LEAVES = 5000
SALT_BYTES = 16

_Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting. Only `shown` may leave the inspectors."""

    key: str
    """JWT_AUTH.JWT_ISSUERS[1].ISSUER"""
    shown: str
    """the value as JSON writes it, text bare; masked where it is secret"""
    secret: bool
    raw: str = field(repr=False)
    """the value itself: never shown, logged or kept"""


def leaves_of(tree: Mapping[str, object]) -> list[Leaf]:
    """The settings of a file in its order; a list of plain values is one. The first MAX_LEAVES."""
    found: list[Leaf] = []
    for keys, value in _walk((), tree):
        if len(found) >= MAX_LEAVES:
            break
        raw = json.dumps(value, default=str)
        secret = is_secret_setting(keys) and _hides(value)
        found.append(Leaf(dotted(keys), MASK if secret else _shown(value), secret, raw))
    return found


def fingerprint(raw: str, salt: bytes) -> bytes:
    """What two secrets are compared by. The salt is random for each run, and neither is ever shown."""
    return hmac.new(salt, raw.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def _walk(keys: tuple[str | int, ...], node: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(node, Mapping) and node:
        for key, child in node.items():
            yield from _walk((*keys, key), child)
    elif isinstance(node, list) and any(isinstance(one, Mapping | list) for one in node):
        for index, child in enumerate(node):
            yield from _walk((*keys, index), child)
    else:
        yield keys, node


def _hides(value: object) -> bool:
    """Switches and what is empty hide nothing, and it helps to see that a secret is not set."""
    return not (isinstance(value, bool) or value in (None, "", [], {}))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return mask_setting(value)
    if isinstance(value, list):
        return json.dumps([mask_setting(v) if isinstance(v, str) else v for v in value], ensure_ascii=False)
    return json.dumps(value)
