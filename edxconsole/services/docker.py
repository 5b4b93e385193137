"""Docker as a ServiceManager: the containers of compose projects, changed by the Engine API.

Each act is one call that dockerd carries out to its end whatever becomes of the console, made to the
container's id, so that a container which took over its name is never meant by mistake.
"""

from __future__ import annotations

from collections.abc import Callable

from edxconsole.catalog.matching import component_of_unit
from edxconsole.catalog.model import DOCKER_GRACE, Catalog, Component
from edxconsole.cluster.text import clean_line, last_lines
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.errors import ActFailed, NotUnderstood, ServiceFault, ServiceUnavailable, UnitUnknown
from edxconsole.services.base import ActOutcome, Capabilities, Permit, Verb, no_phase
from edxconsole.services.docker_client import SOCKET, DockerClient
from edxconsole.services.docker_units import MANAGER, Container, by_name, chosen, places_of
from edxconsole.services.guard import check_identity, check_permit
from edxconsole.transport.base import Transport, UnixEndpoint

VERBS = frozenset(Verb)
NO_RELOAD = "nothing in its container reloads it; restart it"
AS_ROOT = ", which makes this login as good as root"
ENDED = frozenset({UnitHealth.STOPPED, UnitHealth.EXITED})


class DockerManager:
    """The Docker of one host. Implements ServiceManager.

    Args:
        transport: the host's connection.
        catalog: says how long a component may take to end.
        socket: of dockerd.
    """

    def __init__(self, transport: Transport, catalog: Catalog, socket: UnixEndpoint = SOCKET) -> None:
        self._transport = transport
        self._catalog = catalog
        self._client = DockerClient(transport, socket)
        self._seen: dict[str, Container] = {}

    @property
    def id(self) -> str:
        return MANAGER

    async def list(self) -> tuple[Unit, ...]:
        """Every container of every compose project. Raises ServiceUnavailable, PermissionMissing."""
        try:
            containers = await self._client.containers()
        finally:
            await self._release()
        self._seen = by_name(containers)
        return tuple(container.unit for container in self._seen.values())

    async def observe(self, name: str) -> Unit:
        """One container, fresh. Raises UnitUnknown and as list()."""
        try:
            return (await self._container(name)).unit
        finally:
            await self._release()

    async def capabilities(self) -> Capabilities:
        """The socket is all or nothing. Raises ServiceUnavailable, PermissionMissing."""
        try:
            version = await self._client.version()
            own = not self._client.relayed and self._transport.info.user != "root"
            route = self._client.route + (AS_ROOT if own else "")
            return Capabilities(version, VERBS, route)
        finally:
            await self._release()

    def command(self, name: str, verb: Verb) -> str:
        """As `docker` would be told; it is Docker's API that is called."""
        seen = self._seen.get(name)
        if verb is Verb.RELOAD:
            return f"docker exec {seen.name if seen else name} {' '.join(self._reload(name))}"
        grace = self._grace(name, verb)
        wait = f" --time {grace}" if grace is not None else ""
        return f"docker {verb}{wait} {seen.name if seen else name}"

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        """One call of the Engine API, awaited to its end; see ServiceManager.act.

        Raises:
            NotConfirmed, IdentityDrift, UnitUnknown: nothing was done.
            ServiceFault: the catalog knows no reload of it, it is frozen, or Docker refused.
            PermissionMissing: its socket may not be opened.
            ActFailed: the wrong state after it, what reloads it ended with another status than 0, or the
                deadline passed (Docker goes on then).
        """
        check_permit(permit, host=self._transport.host_name, unit=name, verb=verb)
        try:
            before = await self._container(name)
            if verb is Verb.RELOAD:
                return await self._reloaded(before, permit, deadline)
            if _already(before.unit, verb):
                return permit.outcome(f"it was {before.unit.word} already", already=True)
            check_identity(permit, before.unit.identity)
            self._check_frozen(before)
            already = await self._change(before, verb, deadline)
            after = await self._client.container(before.id)
            return self._outcome(before, after, verb, permit, already=already)
        finally:
            await self._release()

    async def close(self) -> None:
        await self._client.close()

    async def _container(self, name: str) -> Container:
        claimants: list[Container] = []
        for place in places_of(name):
            claimants += await self._client.containers(place)
        if not claimants:
            raise UnitUnknown(f"there is no container {clean_line(name)!r}", host=self._transport.host_name)
        self._seen[name] = chosen(claimants)
        return self._seen[name]

    async def _change(self, container: Container, verb: Verb, deadline: float) -> bool:
        grace = self._grace(container.unit.name, verb)
        try:
            return await self._client.change(container.id, str(verb), grace, deadline)
        except ServiceUnavailable as error:
            raise ActFailed(
                f"{verb} {container.unit.name}: {error.cause}; Docker goes on with it there",
                host=self._transport.host_name,
                remedy="look at it again before acting again",
            ) from error

    async def _reloaded(self, container: Container, permit: Permit, deadline: float) -> ActOutcome:
        """Run what the catalog says reloads it, in its container, to its end."""
        name, host = container.unit.name, permit.host
        argv = self._reload(name)
        if not argv:
            raise ServiceFault(f"{name} has no reload", host=host, remedy=NO_RELOAD)
        check_identity(permit, container.unit.identity)
        self._check_frozen(container)
        try:
            status, printed = await self._client.execute(container.id, argv, deadline)
        except (ServiceUnavailable, NotUnderstood) as error:
            raise ActFailed(
                f"reload {name}: {argv[0]} was started there: {error.cause}",
                host=host,
                remedy="look at it again before acting again",
            ) from error
        said = last_lines(printed.encode(), 2, 160)
        if status != 0:
            cause = f"reload {name}: {argv[0]} ended with status {status}"
            raise ActFailed(f"{cause}: {said}" if said else cause, host=host, remedy="read its log")
        return permit.outcome(f"{argv[0]} ended with status 0" + (f": {said}" if said else ""))

    def _reload(self, name: str) -> tuple[str, ...]:
        """The program that reloads it within its container; () where the catalog knows of none."""
        component = self._component(name)
        return component.tutor.reload if component and component.tutor else ()

    def _component(self, name: str) -> Component | None:
        seen = self._seen.get(name)
        services = (seen.place.service,) if seen else tuple(place.service for place in places_of(name))
        return self._catalog.get(component_of_unit(self._catalog, MANAGER, name, services))

    def _check_frozen(self, container: Container) -> None:
        """A frozen process does not see TERM: after the grace it would be killed."""
        if container.unit.word == "paused":
            raise ServiceFault(
                f"{container.unit.name} is frozen and would be killed",
                host=self._transport.host_name,
                remedy=f"docker unpause {container.name} first",
            )

    def _outcome(
        self, before: Container, after: Container | None, verb: Verb, permit: Permit, *, already: bool
    ) -> ActOutcome:
        if after is None:
            raise ActFailed(f"{verb} {before.unit.name}: its container is gone", host=permit.host)
        unit = after.unit
        runs = unit.identity.pid is not None
        fresh = verb is not Verb.RESTART or unit.identity != before.unit.identity
        if runs is (verb is Verb.STOP) or not fresh:
            said = f"{unit.word}, {unit.detail}" if unit.detail else unit.word
            raise ActFailed(f"{verb} {before.unit.name}: it is {said}", host=permit.host)
        killed = ", it did not end by itself and was killed" if unit.word == "exited (137)" else ""
        return permit.outcome(unit.word + killed, already=already)

    def _grace(self, name: str, verb: Verb) -> int | None:
        """Seconds between TERM and KILL; None leaves it to Docker, which gives 10."""
        if verb not in (Verb.STOP, Verb.RESTART):
            return None
        seen = self._seen.get(name)
        own = (seen.stop_timeout if seen else None) or 0
        if own < 0:
            return own
        component = self._component(name)
        needs = component.tutor.grace if component and component.tutor else DOCKER_GRACE
        return max(own, int(needs) if needs > DOCKER_GRACE else 0) or None

    async def _release(self) -> None:
        """A relay occupies one of the host's few sessions; a forwarded stream none."""
        if self._client.relayed:
            await self._client.close()


def _already(unit: Unit, verb: Verb) -> bool:
    if verb is Verb.STOP:
        return unit.health in ENDED
    return verb is Verb.START and unit.identity.pid is not None and unit.word != "paused"
