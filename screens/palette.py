"""What the palette (`:` or ctrl-p) offers: hosts, components, and the commands that work here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from screens.live import LiveScreen
from screens.place import Place, Visit
from widgets.clean import clean
from widgets.commands import in_palette


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose."""

    text: str
    help: str
    run: Callable[[], Any]


class EntryProvider(Provider):
    """Entries are made once, when the palette opens; typing only searches them."""

    entries: tuple[Entry, ...] = ()

    async def startup(self) -> None:
        self.entries = tuple(self.make())

    def make(self) -> list[Entry]:
        raise NotImplementedError

    async def discover(self) -> Hits:
        for entry in self.entries:
            yield DiscoveryHit(entry.text, entry.run, text=entry.text, help=entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self.entries:
            score = matcher.match(entry.text)
            if score > 0:
                yield Hit(score, matcher.highlight(entry.text), entry.run, text=entry.text, help=entry.help)


class CommandEntries(EntryProvider):
    """Commands that work on this screen; what is not possible just now is not offered."""

    def make(self) -> list[Entry]:
        entries: dict[str, Entry] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if active.enabled and in_palette(binding) and binding.description not in entries:
                key = self.app.get_key_display(binding)
                run = partial(self.app.run_action, binding.action, active.node)
                entries[binding.description] = Entry(
                    f"{binding.description}  ({key})", active.tooltip or binding.tooltip, run
                )
        return list(entries.values())


class PlaceEntries(EntryProvider):
    """Every host, and every component on every host."""

    def make(self) -> list[Entry]:
        screen = self.screen
        if not isinstance(screen, LiveScreen):
            return []
        bridge = screen.bridge
        entries = []
        components: dict[str, None] = {}
        for host in bridge.cluster.hosts.values():
            say = f"{host.link} {host.address}".strip()
            entries.append(self._entry(clean(host.name), f"host, {clean(say)}", Place("host", host.name)))
            for instance in host.instances:
                components[instance.component] = None
                title = bridge.titles.get(instance.component, instance.component)
                place = Place("component", host.name, instance.component)
                entries.append(self._entry(f"{title} on {host.name}", str(instance.state), place))
        for component in components:
            title = bridge.titles.get(component, component)
            entries.append(self._entry(title, "component, all hosts", Place("component", "", component)))
        return entries

    def _entry(self, text: str, help_text: str, place: Place) -> Entry:
        return Entry(text, help_text, partial(self.screen.post_message, Visit(place)))
