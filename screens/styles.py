"""The style sheets of the console, parsed no earlier and no oftener than they are needed."""

from __future__ import annotations

from pathlib import Path

from textual.css.stylesheet import Stylesheet

SHEETS = {path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("*.tcss")}
"""The .tcss beside each screen, by name: read here, so that opening a screen reads no file."""


class Styles(Stylesheet):
    """Textual parses every sheet anew on each refresh, thrice before the first frame; we only what is new."""

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """What was parsed with the same variables is remembered; a mistake leaves the rules as they were."""
        self.parse()
