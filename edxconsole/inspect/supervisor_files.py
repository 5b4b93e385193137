"""The effective settings of every program as supervisord's own configuration files give them.

For supervisord before 4.0, which does not tell them by its API; defaults are those of its version.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Mapping

from edxconsole.errors import NotUnderstood

DEFAULTS: Mapping[str, str] = {
    "autostart": "true",
    "autorestart": "unexpected",
    "startsecs": "1",
    "startretries": "3",
    "stopsignal": "TERM",
    "stopwaitsecs": "10",
    "stopasgroup": "false",
    "killasgroup": "false",
}
"""options.py of 3.0 to 4.3; exitcodes differ, see exitcodes()"""
SHOWN = ("command", "user", "directory", "exitcodes", *DEFAULTS)
_SECTION = re.compile(r"(program|eventlistener|fcgi-program|group):(.{1,200})")


def exitcodes(version: tuple[int, ...]) -> str:
    """The exit codes that are no surprise where a program does not say."""
    return "0" if version >= (4,) else "0,2"


def includes(text: str, path: str) -> list[str]:
    """Absolute patterns of the files that a supervisord.conf includes. Raises NotUnderstood."""
    parser = _parsed(text, path)
    here = posixpath.dirname(path)
    said = parser.get("include", "files", fallback="") or ""
    words = [word.replace("%(here)s", here) for word in said.split()]
    return [posixpath.join(here, word) for word in words if "%(" not in word]


def programs(text: str, path: str, version: tuple[int, ...]) -> dict[str, dict[str, str]]:
    """Program -> its settings, as SHOWN, and "group". Raises NotUnderstood."""
    parser = _parsed(text, path)
    found: dict[str, dict[str, str]] = {}
    groups: dict[str, str] = {}
    for section in parser.sections():
        named = _SECTION.fullmatch(section)
        if named is None:
            continue
        kind, name = named[1], named[2].strip()
        said = {key: (value or "").strip() for key, value in parser.items(section)}
        if kind == "group":
            groups |= {member.strip(): name for member in said.get("programs", "").split(",")}
            continue
        settings = {"exitcodes": exitcodes(version), **DEFAULTS, **said}
        found[name] = {key: settings.get(key, "") for key in SHOWN}
        found[name]["environment"] = ", ".join(environment_names(said.get("environment", "")))
    for name, settings in found.items():
        settings["group"] = groups.get(name, name)
    return found


def program_sections(text: str, path: str) -> dict[str, dict[str, str]]:
    """Program or group -> the settings as its own section gives them. Raises NotUnderstood."""
    parser = _parsed(text, path)
    named = {section: _SECTION.fullmatch(section) for section in parser.sections()}
    return {
        found[2].strip(): {key: " ".join((value or "").split()) for key, value in parser.items(section)}
        for section, found in named.items()
        if found is not None
    }


def environment_names(text: str) -> list[str]:
    """The names in `A="1",B=2`; their values may be secrets and are not kept."""
    return re.findall(r"(?:^|,)\s*([A-Za-z_]\w{0,80})\s*=", re.sub(r'"[^"]*"|\'[^\']*\'', '""', text))


def _parsed(text: str, path: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(
        strict=False, inline_comment_prefixes=(";",), allow_no_value=True, default_section=""
    )
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError, AttributeError) as error:
        raise NotUnderstood(f"{path} is not as supervisord writes its configuration") from error
    return parser
