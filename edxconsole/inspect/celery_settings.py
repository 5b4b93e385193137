"""The brokers that the configuration of a host names for the workers of a component."""

from __future__ import annotations

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.app_settings import EDXAPP, edxapp_settings, paths_of, settings_of
from edxconsole.inspect.celery_broker import BrokerPlace, broker_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight


async def brokers_of(sight: Sight, report: Report) -> list[BrokerPlace]:
    """Each once: the LMS and the CMS usually share one. Why there is none is told as missing."""
    paths = paths_of(sight.component.id, sight.component.configs)
    known = len(report.untold)
    if paths == EDXAPP:
        found = await edxapp_settings(sight, report)
    else:
        found = await settings_of(sight, report, paths)
    places: dict[BrokerPlace, None] = {}
    for settings in found:
        try:
            place = broker_of(settings.tree)
        except NotUnderstood as error:
            report.lacks(f"broker of {settings.path}", error)
            continue
        if place is not None:
            places[place] = None
    if not places and len(report.untold) == known:
        named = ", ".join(path for files in paths for path in files) or "no known file"
        report.missing("broker", f"no broker of the workers is named in {named}")
    return list(places)
