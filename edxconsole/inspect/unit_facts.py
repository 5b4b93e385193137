"""The files of a component's units, key by key: supervisor's program sections, systemd's unit files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from edxconsole.cluster.model import SupervisorInfo
from edxconsole.errors import NotUnderstood, PermissionMissing, ServiceUnavailable
from edxconsole.inspect.masking import mask_argv, mask_setting
from edxconsole.inspect.reads import INCLUDED, UNIT_FILES
from edxconsole.inspect.sight import READ_TIMEOUT, Sight
from edxconsole.inspect.supervisor_files import environment_names, includes, program_sections

_KEY = re.compile(r"([A-Za-z]\w{0,60})\s*=\s*(.*)")
_SECTION = re.compile(r"\[([A-Za-z-]{1,40})\]")


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One key of a unit's file."""

    name: str
    """lms command, nginx.service Service.ExecStart"""
    shown: str
    secret: bool
    raw: str = field(repr=False)


async def unit_lines(sight: Sight) -> list[UnitLine]:
    """Every key of every unit that runs the component, except where containers do.

    Raises TransportError, ServiceError.
    """
    units = [sight.host.units[key] for key in (sight.instance.units if sight.instance else ())]
    found: list[UnitLine] = []
    for manager in dict.fromkeys(unit.manager for unit in units):
        names = [unit.name for unit in units if unit.manager == manager]
        if manager == "systemd":
            for name in names:
                found += await _of_systemd(sight, name)
        info = next((s for s in sight.host.supervisors if s.id == manager), None)
        if info is not None:
            found += await _of_supervisor(sight, info, names)
    return found


async def _of_systemd(sight: Sight, name: str) -> list[UnitLine]:
    result = await sight.run([*UNIT_FILES, name], timeout=READ_TIMEOUT)
    if not result.ok:
        raise ServiceUnavailable(f"systemctl does not tell the files of {name}")
    return list(read_unit(result.text, name))


def read_unit(text: str, unit: str) -> Iterator[UnitLine]:
    """The keys of systemd's unit files as `systemctl cat` prints them: drop-ins after the file itself.

    Of a key that is given more than once, all values in their order, as one.
    """
    section, values = "", dict[tuple[str, str], list[str]]()
    for line in text.replace("\\\n", " ").splitlines():
        head = _SECTION.fullmatch(line.strip())
        said = _KEY.fullmatch(line.strip())
        if head is not None:
            section = head[1]
        elif said is not None:
            values.setdefault((section, said[1]), []).append(" ".join(said[2].split()))
    for (section, key), several in values.items():
        raw = "; ".join(several)
        secret = key in ("Environment", "SetCredential") and bool(raw)
        shown = "; ".join(_names(one) if secret else _shown(key, one) for one in several if one)
        yield UnitLine(f"{unit} {section}.{key}", shown, secret, raw)


async def _of_supervisor(sight: Sight, info: SupervisorInfo, names: list[str]) -> list[UnitLine]:
    if not info.config:
        raise NotUnderstood("supervisord runs without a configuration file that is known")
    text = await sight.read(info.config, user=info.owner or "root")
    patterns = includes(text, info.config)
    if patterns:
        result = await sight.run(["sh", "-c", INCLUDED, "sh", *patterns], timeout=READ_TIMEOUT)
        text += result.text
        if result.stderr.strip():
            raise PermissionMissing(
                "some files of supervisor's programs are not readable",
                remedy=f"let {sight.login or 'the login user'} read them",
            )
    sections = program_sections(text, info.config)
    found: list[UnitLine] = []
    for name in dict.fromkeys(name.rpartition(":")[2] for name in names):
        for key, raw in sections.get(name, {}).items():
            secret = key == "environment" and bool(raw)
            shown = ", ".join(environment_names(raw)) if secret else _shown(key, raw)
            found.append(UnitLine(f"{name} {key}", shown, secret, raw))
    return found


def _names(raw: str) -> str:
    """The variables of `Environment=`, without their values."""
    try:
        words = shlex.split(raw)
    except ValueError:
        return "unreadable"
    return ", ".join(word.partition("=")[0] for word in words if "=" in word)


def _shown(key: str, raw: str) -> str:
    if key.lower().startswith(("command", "exec")):
        try:
            return shlex.join(mask_argv(shlex.split(raw)))
        except ValueError:
            return " ".join(mask_argv(raw.split()))
    return mask_setting(raw)
