"""Questions from the engine's thread: shown one at a time, declined by default, never blocking."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from textual.widgets import Input

from edxconsole.transport.base import Prompter
from screens.prompter import ModalPrompter
from screens.prompting import SecretModal, TrustModal
from tests.tui.fakes import make_app


class OtherLoop:
    """A loop in a thread of its own, as the engine has."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


async def test_a_secret_is_asked_shown_as_dots_and_handed_over() -> None:
    prompter = ModalPrompter()
    app, _ = make_app(prompter=prompter)
    other = OtherLoop()
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause(0.1)
            asked = other.submit(prompter.secret("app1", "Verification code: "))
            await pilot.pause(0.2)
            assert isinstance(app.screen, SecretModal)
            assert app.screen.query_one(Input).password
            await pilot.press(*"hunter2")
            assert "hunter2" not in app.export_screenshot()
            await pilot.press("enter")
            assert await asyncio.wait_for(asked, 5) == "hunter2"
    finally:
        other.close()


async def test_two_questions_come_one_after_the_other() -> None:
    prompter = ModalPrompter()
    app, _ = make_app(prompter=prompter)
    other = OtherLoop()
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause(0.1)
            first = other.submit(prompter.secret("app1", "Password: "))
            second = other.submit(prompter.secret("app2", "Password: "))
            await pilot.pause(0.2)
            assert sum(isinstance(s, SecretModal) for s in app.screen_stack) == 1
            await pilot.press("escape")
            await pilot.pause(0.2)
            assert sum(isinstance(s, SecretModal) for s in app.screen_stack) == 1
            await pilot.press("x", "enter")
            assert {await asyncio.wait_for(first, 5), await asyncio.wait_for(second, 5)} == {None, "x"}
    finally:
        other.close()


async def test_a_stray_enter_trusts_no_host_key() -> None:
    prompter = ModalPrompter()
    app, _ = make_app(prompter=prompter)
    other = OtherLoop()
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause(0.1)
            print_ = "SHA256:abcdef"
            asked = other.submit(prompter.trust("app1", "192.0.2.12", "ssh-ed25519", print_))
            await pilot.pause(0.2)
            assert isinstance(app.screen, TrustModal)
            assert print_ in app.export_screenshot()
            await pilot.press("enter")
            assert await asyncio.wait_for(asked, 5) is False
            asked = other.submit(prompter.trust("app1", "192.0.2.12", "ssh-ed25519", print_))
            await pilot.pause(0.2)
            await pilot.press("tab", "enter")
            assert await asyncio.wait_for(asked, 5) is True
    finally:
        other.close()


async def test_before_the_screen_is_open_everything_is_declined() -> None:
    prompter = ModalPrompter()
    assert await prompter.secret("app1", "Password: ") is None
    assert await prompter.trust("app1", "192.0.2.12", "ssh-ed25519", "SHA256:x") is False


def test_it_is_a_prompter() -> None:
    prompter: Prompter = ModalPrompter()
    assert prompter is not None
