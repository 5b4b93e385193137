"""The brokers that the configuration of a host names for the workers of a component."""

from __future__ import annotations

from dataclasses import replace

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.app_settings import EDXAPP, edxapp_settings, paths_of, settings_of
from edxconsole.inspect.celery_broker import BrokerPlace, broker_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import APPS, Project


async def brokers_of(sight: Sight, report: Report, project: Project | None) -> list[BrokerPlace]:
    """Each once: the LMS and the CMS usually share one. Why there is none is told as missing."""
    paths = _of_tutor(project) if project else paths_of(sight.component.id, sight.component.configs)
    known = len(report.untold)
    if project is not None:
        found = await settings_of(sight, report, paths, reader="root")
    elif paths == EDXAPP:
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
            # A container names another by its service, which only Docker's network knows.
            host = project.addresses.get(place.host, place.host) if project else place.host
            places[replace(place, host=host)] = None
    if not places and len(report.untold) == known:
        named = ", ".join(path for files in paths for path in files) or "no known file"
        report.missing("broker", f"no broker of the workers is named in {named}")
    return list(places)


def _of_tutor(project: Project) -> tuple[tuple[str, ...], ...]:
    """What Tutor mounts into its containers of the LMS, the CMS and their workers."""
    files = (project.file(f"{APPS}/{name}.env.yml") for name in ("lms", "cms"))
    return tuple((path,) for path in files if path is not None)
