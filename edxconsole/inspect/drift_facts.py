"""What one host says of one component, for drift: packages, code, unit files, settings, its system."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from edxconsole.catalog.drift import Origin, load_drift_rules
from edxconsole.cluster.text import clean_line
from edxconsole.errors import (
    ConnectionLost,
    EdxconsoleError,
    NotUnderstood,
    PermissionMissing,
    ServiceError,
    ServiceUnavailable,
    TransportError,
)
from edxconsole.inspect.config_leaves import fingerprint, leaves_of
from edxconsole.inspect.config_text import parse_config, read_exports
from edxconsole.inspect.drift import EVERYTHING, HostFacts, Said, Unread
from edxconsole.inspect.edxapp_files import NO_PROCESS, VARIANTS, in_force, statuses, variants_of
from edxconsole.inspect.edxapp_tutor import OWNER, UNTOLD, documented, readers_of, told_of
from edxconsole.inspect.python_settings import settings_in
from edxconsole.inspect.reads import DISTRIBUTIONS, DPKG, INCLUDED, RPM
from edxconsole.inspect.report import Report, clean
from edxconsole.inspect.sight import READ_TIMEOUT, Sight
from edxconsole.inspect.tutor import project_of
from edxconsole.inspect.unit_facts import unit_lines

DEADLINE = 60.0
"""seconds for one component of one host"""
PARSED = (".yml", ".yaml", ".json", "_env")
"""ends of the names of files whose settings are compared one by one; of others the text as a whole is"""
_DISTRIBUTION = re.compile(r"([A-Za-z0-9._]+)-([^-/]+)(?:-[^/]*)?\.(?:dist-info|egg-info)")
_COMMENT = re.compile(r"\s*(?:[#;].*)?")


class Gathering:
    """What is being gathered of one component on one host."""

    def __init__(self, sight: Sight, salt: bytes) -> None:
        self.sight = sight
        self._salt = salt
        self.said: list[Said] = []
        self.unread: list[Unread] = []

    def say(self, kind: str, name: str, raw: str, shown: str | None = None, *, secret: bool = False) -> None:
        """A fact. What is shown of it is cleaned, masked and cut; it is compared by the whole of `raw`."""
        text = clean(raw if shown is None else shown)
        self.said.append(Said(kind, clean_line(name), str(text), fingerprint(raw, self._salt), secret))

    def lacks(self, kind: str, error: EdxconsoleError) -> None:
        self.unread.append(Unread(kind, str(clean(error.cause)), str(clean(error.remedy or ""))))

    @asynccontextmanager
    async def reading(self, kind: str) -> AsyncIterator[None]:
        """What fails in here makes the facts of this kind unknown. Raises ConnectionLost."""
        try:
            yield
        except ConnectionLost:
            raise
        except (TransportError, ServiceError) as error:
            self.lacks(kind, error)


async def facts_of(sight: Sight, salt: bytes, *, deadline: float = DEADLINE) -> HostFacts:
    """Read what is compared. What can't be read is in `unread`; it raises nothing of the host's.

    Args:
        salt: random, of this run: secrets are compared by their hash with it, and never kept.
    """
    got = Gathering(sight, salt)
    # Once; a file is read for it.
    await asyncio.to_thread(load_drift_rules)
    try:
        async with asyncio.timeout(deadline):
            for gather in _GATHERERS:
                await gather(got)
    except TimeoutError:
        got.unread.append(Unread(EVERYTHING, f"not told within {deadline:g} s", "look at the host's load"))
    except ConnectionLost as error:
        got.lacks(EVERYTHING, error)
    return HostFacts(sight.host.name, sight.component.id, tuple(got.said), tuple(got.unread))


async def _system(got: Gathering) -> None:
    if got.sight.host.kernel:
        got.say("system", "kernel", got.sight.host.kernel)
    async with got.reading("system"):
        text = await got.sight.read("/etc/os-release")
        told = read_exports(text, "/etc/os-release")
        got.say("system", "os", told.get("PRETTY_NAME") or told.get("NAME") or "unnamed")


async def _packages(got: Gathering) -> None:
    names = _origin(got).packages
    if not names:
        return
    async with got.reading("package"):
        program = await got.sight.first_of((DPKG[0], RPM[0]))
        result = await got.sight.run([*(DPKG if program == DPKG[0] else RPM), *names])
        for line in result.text.splitlines():
            status, _, rest = line.partition("\t")
            name, tab, version = rest.partition("\t")
            if tab and status.endswith("installed") and "not-installed" not in status:
                got.say("package", name, version)


async def _code(got: Gathering) -> None:
    """The commit that is checked out, by git's own files; nothing of git is run."""
    code = _origin(got).code
    if not code:
        return
    async with got.reading("code"):
        head = await _optional(got.sight.read(f"{code}/.git/HEAD"))
        if head is None:
            return
        told = head.strip()
        if not told.startswith("ref: "):
            got.say("code", code, told)
            return
        branch = told.removeprefix("ref: ").strip()
        if not re.fullmatch(r"refs/[\w./-]{1,200}", branch) or ".." in branch:
            raise NotUnderstood(f"{code}/.git/HEAD names no branch")
        commit = await _optional(got.sight.read(f"{code}/.git/{branch}"))
        if commit is None:
            packed = await got.sight.read(f"{code}/.git/packed-refs")
            commit = next((w[0] for ln in packed.splitlines() if (w := ln.split())[1:] == [branch]), "")
        got.say("code", code, f"{branch} {commit}", f"{branch.removeprefix('refs/heads/')} {commit[:12]}")


async def _distributions(got: Gathering) -> None:
    venv = _origin(got).venv
    if not venv:
        return
    async with got.reading("python_package"):
        result = await got.sight.run(["sh", "-c", DISTRIBUTIONS, "sh", venv], timeout=READ_TIMEOUT)
        if not result.ok:
            login = got.sight.login or "the login user"
            raise PermissionMissing(f"{login} may not list {venv}/lib", remedy=f"let {login} read it")
        for line in result.text.splitlines():
            found = _DISTRIBUTION.fullmatch(line)
            if found is not None:
                got.say("python_package", found[1].lower().replace("_", "-"), found[2])


async def _units(got: Gathering) -> None:
    async with got.reading("unit"):
        for line in await unit_lines(got.sight):
            got.say("unit", line.name, line.raw, line.shown, secret=line.secret)


async def _settings(got: Gathering) -> None:
    component = got.sight.component
    if component.id in ("lms", "cms", "edxapp_worker"):
        await _edxapp_settings(got)
    for path in component.configs:
        if any(path in variant.candidates for variant in VARIANTS.values()):
            continue
        async with got.reading("setting" if path.endswith(PARSED) else "config_file"):
            await _file(got, path, component.user[0] if component.user else "root")


async def _file(got: Gathering, path: str, user: str) -> None:
    """Its settings one by one, or its text as a whole; of a directory the text of its files."""
    try:
        text = await _optional(got.sight.read(path, user=user))
    except NotUnderstood as error:
        if not error.cause.endswith("is no ordinary file"):
            raise
        async with got.reading("config_files"):
            await _directory(got, path)
        return
    if text is not None and path.endswith(PARSED):
        await _say_leaves(got, "setting", text, path)
    elif text is not None:
        _say_text(got, "config_file", path, text)


async def _directory(got: Gathering, path: str) -> None:
    result = await got.sight.run(["sh", "-c", INCLUDED, "sh", f"{path}/*"], timeout=READ_TIMEOUT)
    if result.stderr.strip():
        login = got.sight.login or "the login user"
        raise PermissionMissing(f"{login} may not read all of {path}", remedy=f"let {login} read its files")
    _say_text(got, "config_files", f"{path}/*", result.text)


def _say_text(got: Gathering, kind: str, name: str, text: str) -> None:
    """Compared without comments, empty lines and indentation; never shown."""
    lines = [" ".join(line.split()) for line in text.splitlines() if not _COMMENT.fullmatch(line)]
    got.say(kind, name, "\n".join(lines), f"{len(lines)} {'line' if len(lines) == 1 else 'lines'}")


async def _edxapp_settings(got: Gathering) -> None:
    """Of the files that the running processes read, in that order: a later one overrides."""
    if got.sight.contained:
        await _contained_settings(got)
        return
    served = variants_of(got.sight.component.id, got.sight.processes())
    if not served:
        got.unread += [Unread(kind, NO_PROCESS) for kind in _kinds(got)]
    for name, process in served.items():
        variant, kind = VARIANTS[name], f"{name}_setting"
        async with got.reading(kind):
            there = await statuses(got.sight, variant.candidates)
            force = await in_force(got.sight, variant, process, there)
            for path in force.paths:
                text = await got.sight.read(path, user=process.user)
                await _say_leaves(got, kind, text, path)


async def _contained_settings(got: Gathering) -> None:
    """Of the files that Docker tells its containers to read; of several of one variant the first tells."""
    report = Report()
    project = await project_of(got.sight, report)
    variants = readers_of(got.sight, project)
    if project is None or not variants:
        why = report.untold[0] if report.untold else None
        cause, remedy = (why.cause, why.remedy) if why else (UNTOLD, "")
        got.unread += [Unread(kind, cause, remedy) for kind in _kinds(got)]
        return
    for name, readers in variants.items():
        variant, kind = VARIANTS[name], f"{name}_setting"
        async with got.reading(kind):
            there = await statuses(got.sight, documented(variant, project))
            told = told_of(readers[0], variant, project, there)
            got.unread += [Unread(kind, f"{what}: {cause}") for what, cause in told.lacks]
            before: dict[str, object] = {}
            for path in told.force.paths:
                text = await got.sight.read(path, user=OWNER)
                found = await asyncio.to_thread(settings_in, text, path, before)
                before |= found.tree
                _say_tree(got, kind, found.tree, found.replaced)


def _kinds(got: Gathering) -> list[str]:
    """The kinds of settings that a component has."""
    names = VARIANTS if got.sight.component.id not in VARIANTS else (got.sight.component.id,)
    return [f"{name}_setting" for name in names]


async def _say_leaves(got: Gathering, kind: str, text: str, path: str) -> None:
    _say_tree(got, kind, await asyncio.to_thread(parse_config, text, path))


def _say_tree(got: Gathering, kind: str, tree: Mapping[str, object], replaced: Collection[str] = ()) -> None:
    """What a file before it said of the same settings is out of force."""
    leaves = leaves_of(tree)
    names = {leaf.key for leaf in leaves}
    old = (s for s in got.said if s.kind != kind or s.name not in names)
    got.said = [s for s in old if s.kind != kind or re.split(r"[.\[]", s.name, maxsplit=1)[0] not in replaced]
    for leaf in leaves:
        got.say(kind, leaf.key, leaf.raw, leaf.shown, secret=leaf.secret)


async def _optional(reading: Awaitable[str]) -> str | None:
    """None where there is no such file."""
    try:
        return await reading
    except ServiceUnavailable as error:
        if error.cause.startswith("there is no "):
            return None
        raise


def _origin(got: Gathering) -> Origin:
    return load_drift_rules().components.get(got.sight.component.id, Origin())


_GATHERERS: Iterable[Callable[[Gathering], Awaitable[None]]] = (
    _system,
    _packages,
    _code,
    _distributions,
    _units,
    _settings,
)
