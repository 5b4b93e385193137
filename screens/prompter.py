"""How a transport asks the operator while the screen is open: one modal at a time.

The engine's thread awaits; the screen's loop shows.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

from textual.app import App
from textual.screen import ModalScreen

T = TypeVar("T")


class ModalPrompter:
    """A transport.base.Prompter that shows modals on an app. Made before the app; attached after.

    The modals are imported when the first question comes, in the thread of who asks.
    """

    def __init__(self) -> None:
        self._app: App[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: asyncio.Lock | None = None
        self._context: contextvars.Context | None = None

    def attach(self, app: App[Any]) -> None:
        self._app = app

    def opened(self) -> None:
        """Called in the app's loop once it runs; before that every question is declined."""
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._context = contextvars.copy_context()

    async def secret(self, host: str, prompt: str) -> str | None:
        from screens.prompting import SecretModal

        return await self._across(self._ask(SecretModal(host, prompt)))

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        from screens.prompting import TrustModal

        return bool(await self._across(self._ask(TrustModal(host, address, key_type, fingerprint))))

    async def _across(self, question: Coroutine[Any, Any, T]) -> T | None:
        if self._loop is None or self._loop.is_closed():
            question.close()
            return None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._loop))

    async def _ask(self, modal: ModalScreen[Any]) -> Any:
        # Textual finds its app by a context variable, which a call from another thread does not bring.
        return await asyncio.get_running_loop().create_task(self._show(modal), context=self._context)

    async def _show(self, modal: ModalScreen[Any]) -> Any:
        app, turn = self._app, self._turn
        if app is None or turn is None:
            return None
        async with turn:
            answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def answer(value: Any) -> None:
                if not answered.done():
                    answered.set_result(value)

            await app.push_screen(modal, answer)
            try:
                return await answered
            finally:
                # Who asked may have gone meanwhile; then nobody takes the answer.
                if not answered.done() and app.screen is modal:
                    modal.dismiss(None)
