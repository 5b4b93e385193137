"""InspectionView: one component opened up, with a cursor on each thing that was found."""

from __future__ import annotations

from edxconsole.inspect.model import Inspection
from widgets.ink import Role
from widgets.inspection_lines import blocks
from widgets.item_view import ItemView
from widgets.items import Block


class InspectionView(ItemView):
    """Findings first, then sections of facts and tables, then what could not be seen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("INSPECTION", id=id)
        self._found: Inspection | None = None

    def show(self, found: Inspection | None, said: str = "", role: Role = Role.DIM) -> None:
        """What was found, with a sentence above it; the sentence alone while there is nothing yet."""
        if self.say(said, role) or found is not self._found:
            self._found = found
            self.renew()

    def blocks(self, width: int) -> list[Block]:
        return [] if self._found is None else blocks(self._found, width, self.safe)
