"""What health pages say, in all the forms that services of Open edX give them. Pure.

`{"sql": {"status": true, "message": "OK"}}` LMS and Studio from Hawthorn on; `{"split": true, "SQL": true}`
and, failing, `{"SQL": "message"}` before; `{"OK": false, "check": "db"}` forum and notes;
`{"overall_status": "OK", "detailed_status": {"database_status": "OK"}}` the IDAs; `{"status": "available"}`
Meilisearch; `{"return_code": 0}` xqueue (domain.md section 3).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edxconsole.catalog.parts import MEANINGS
from edxconsole.cluster.text import clean_line, mask_text

MAX_PARTS = 20
MAX_MESSAGE = 90
_WELL = frozenset({"ok", "available", "healthy", "up", "true"})
_NO_MESSAGE = frozenset({"", "ok", "none"})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a page tells of: is it well, and what is said beside."""

    name: str
    well: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says: its parts, and its word for the whole (None: it has none)."""

    parts: tuple[Part, ...] = ()
    well: bool | None = None

    @property
    def false(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if not part.well)


def read_page(body: bytes) -> Told | None:
    """None when it is no JSON object, so no health page at all."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping):
        return None
    if isinstance(found.get("OK"), bool):
        check = found.get("check")
        failed = (Part(_name(check), False),) if isinstance(check, str) and not found["OK"] else ()
        return Told(failed, found["OK"])
    detailed = found.get("detailed_status")
    overall = found.get("overall_status")
    if isinstance(detailed, Mapping):
        parts = tuple(Part(_name(k), _is_well(v)) for k, v in list(detailed.items())[:MAX_PARTS])
        return Told(parts, _is_well(overall))
    word = overall if isinstance(overall, str) else found.get("status")
    if isinstance(word, str):
        return Told((), _is_well(word))
    if isinstance(found.get("return_code"), int):
        return Told((), found["return_code"] == 0)
    return Told(_parts(found))


def _parts(found: Mapping[str, object]) -> tuple[Part, ...]:
    made = (_part(_name(key), value) for key, value in list(found.items())[:MAX_PARTS])
    return tuple(part for part in made if part is not None)


def _part(name: str, value: object) -> Part | None:
    if isinstance(value, bool):
        return Part(name, value)
    if isinstance(value, str) and name.lower() in MEANINGS:
        # Before Hawthorn a part that failed has its error in place of the truth value.
        return Part(name, _is_well(value), _message(value))
    if isinstance(value, Mapping) and isinstance(value.get("status"), bool):
        return Part(name, value["status"], _message(value.get("message")))
    return None


def _is_well(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in _WELL


def _name(key: object) -> str:
    return clean_line(str(key).removesuffix("_status"), 40)


def _message(value: object) -> str:
    said = clean_line(mask_text(str(value)[: MAX_MESSAGE * 8]), MAX_MESSAGE)
    return "" if said.lower() in _NO_MESSAGE else said


def what_is_false(parts: Iterable[Part]) -> str:
    """Of each part that is false: its name, what is broken, its own words, and what to look at.

    "sql false: its database does not answer it (gone away); look at the database it uses"
    """
    return "; ".join(_explained(part) for part in parts)


def _explained(part: Part) -> str:
    own = f" ({part.message})" if part.message else ""
    meaning = MEANINGS.get(part.name.lower())
    if meaning is None:
        return f"{part.name} false{own}"
    return f"{part.name} false: {meaning.broken}{own}; look {meaning.look}"
