"""The action modal: what can be done to the selected service, and what each really does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from textual.app import ComposeResult
from textual.containers import Vertical

from edxconsole.catalog.model import ActionSpec, Component
from edxconsole.services.base import Capabilities, Verb
from screens.modal import BoxModal, words
from screens.place import Target
from widgets.cells import Column, Row, cell
from widgets.detail_view import DetailView, Fact
from widgets.ink import Role
from widgets.row_table import RowTable

COLUMNS = (Column("do", 9, 0), Column("what it does", 30, 0, grow=1))

_USUAL = {
    Verb.RESTART: "stops it and starts it again, by its own service manager",
    Verb.RELOAD: "whatever its service manager calls reload",
    Verb.START: "starts it",
    Verb.STOP: "stops it",
}
ORDER = (Verb.RESTART, Verb.RELOAD, Verb.START, Verb.STOP)


class ActionModal(BoxModal[Verb]):
    """Choosing a verb only shows its plan; nothing is changed by this modal."""

    def __init__(
        self, target: Target, known: Component | None, capabilities: Iterable[Capabilities], armed: bool
    ) -> None:
        super().__init__()
        self._target = target
        self._reasons = refusals(known, tuple(capabilities))
        self._specs = _specs(known)
        self._armed = armed

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = f"Actions · {self._target.title}"
            yield RowTable("DO", COLUMNS, id="verbs", header_from=0)
            yield DetailView("IN FULL", id="whole")
            yield words(self._hint(), classes="hint")

    def _hint(self) -> str:
        if len(self._reasons) == len(ORDER):
            return "Nothing of this is possible here with this login. Esc closes this."
        hint = "Enter shows exactly what would be done. Nothing is changed yet."
        return hint if self._armed else f"{hint} The console is read-only."

    def on_mount(self) -> None:
        table = self.query_one(RowTable)
        table.show(self._row(verb) for verb in ORDER)
        table.focus()
        self.call_after_refresh(self._explain)

    def _row(self, verb: Verb) -> Row:
        if verb in self._reasons:
            return Row(verb, (cell(f"  {verb}", Role.DIM), cell("not possible here", Role.DIM)))
        return Row(verb, (cell(f"  {verb}", Role.STRONG), cell(self._does(verb))))

    def _does(self, verb: Verb) -> str:
        spec = self._specs.get(verb)
        return spec.what if spec else _USUAL[verb]

    def _explain(self) -> None:
        """Every verb in full: a remedy is there to be read to its end."""
        self.query_one(DetailView).show_whole(self._facts(), self.size.height // 2)

    def _facts(self) -> Iterator[Fact]:
        chosen = self.query_one(RowTable).cursor_key
        for verb in ORDER:
            refusal = self._reasons.get(verb)
            text = self._does(verb) if refusal is None else _refused(refusal)
            yield Fact(verb, text, Role.TEXT if verb == chosen else Role.DIM)

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        event.stop()
        verb = Verb(event.key)
        if verb in self._reasons:
            self.notify(f"{verb} is not possible here: see above.", severity="warning", markup=False)
        else:
            self.dismiss(verb)

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._explain()


def _refused(why: str) -> str:
    return why if why.casefold().startswith("not ") else f"not possible: {why}"


def _specs(known: Component | None) -> dict[Verb, ActionSpec]:
    if known is None:
        return {}
    given = {verb: getattr(known.actions, verb.value) for verb in Verb}
    return {verb: spec for verb, spec in given.items() if spec is not None}


def refusals(known: Component | None, capabilities: tuple[Capabilities, ...]) -> Mapping[Verb, str]:
    """Per verb that can't be done here: why, or what is missing."""
    reasons: dict[Verb, str] = {}
    for verb in ORDER:
        spec = _specs(known).get(verb)
        if spec is not None and spec.method == "none":
            reasons[verb] = spec.what.removeprefix("Not possible: ")
        elif spec is not None and spec.method != "manager":
            continue
        elif capabilities and not any(verb in c.verbs for c in capabilities):
            missing = [c.missing[verb] for c in capabilities if verb in c.missing]
            reasons[verb] = missing[0] if missing else "its service manager can't"
    return reasons
