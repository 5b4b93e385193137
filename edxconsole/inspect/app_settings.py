"""Settings of Open edX's applications as their files on a host hold them, read at the moment of use.

They hold secrets: what is taken from them is used and let go, and no error says a word of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.errors import ConnectionLost, ServiceError, ServiceUnavailable, TransportError
from edxconsole.inspect.edxapp_config import parse_config
from edxconsole.inspect.edxapp_files import VARIANTS
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight

EDXAPP = tuple((variant.usual,) for variant in VARIANTS.values())
"""Juniper and later"""
EDXAPP_OLD = tuple(variant.old for variant in VARIANTS.values())
"""before; later they are still written, and nobody reads them (domain.md section 8)"""
READER = "www-data"
"""who runs the applications, and may read their files"""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The settings of one application."""

    path: str
    """the file, the first where there are several"""
    tree: Mapping[str, object] = field(repr=False)


def paths_of(component: str, configs: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The files of each application that a component belongs to, by what the catalog says of it."""
    own = tuple((path,) for path in configs if path.endswith((".yml", ".yaml")))
    return EDXAPP if component in ("edxapp_worker", "lms", "cms") else own


async def settings_of(
    sight: Sight, report: Report, paths: Sequence[Sequence[str]], *, reader: str = READER
) -> list[AppSettings]:
    """Those that are there and can be read by `reader`, each with its files laid over one another.

    What may not be read, or is broken, is told as missing; that a file is not there is not. Raises
    ConnectionLost.
    """
    found = [await _read(sight, report, files, reader) for files in paths]
    return [settings for settings in found if settings is not None]


async def edxapp_settings(sight: Sight, report: Report) -> list[AppSettings]:
    """The LMS's and the CMS's, of whichever release."""
    return await settings_of(sight, report, EDXAPP) or await settings_of(sight, report, EDXAPP_OLD)


async def _read(sight: Sight, report: Report, files: Sequence[str], reader: str) -> AppSettings | None:
    tree: dict[str, object] = {}
    for path in files:
        try:
            text = await sight.read(path, user=reader)
            tree |= await asyncio.to_thread(parse_config, text, path)
        except ConnectionLost:
            raise
        except ServiceUnavailable:
            continue
        except (ServiceError, TransportError) as error:
            report.lacks(f"settings in {path}", error)
    return AppSettings(files[0], tree) if tree else None
