"""The app itself: modes, history, what wakes the screen, and the loop hygiene that keeps keys quick."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App
from textual.binding import BindingType
from textual.driver import Driver
from textual.screen import ModalScreen, Screen, SystemModalScreen
from textual.worker import Worker, WorkerState

from edxconsole.errors import EdxconsoleError
from edxconsole.plans.arming import locked
from edxconsole.settings import Settings, log_file
from screens.bridge import Bridge
from screens.commands import APP_BINDINGS
from screens.history import History
from screens.live import LiveScreen
from screens.place import Place, Target, Visit, WantAct
from screens.prompter import ModalPrompter
from screens.styles import SHEETS, Styles
from widgets.driver import CongestionGate
from widgets.ink import THEMES
from widgets.pulse import Pulse

if TYPE_CHECKING:
    from textual.command import Provider

    from screens.acting import Acting
    from screens.plan_run import PlanRun

FRAMES = 20
"""frames a second at most for what changes by itself; keys are not held to it"""
LOG_FRAMES = 12
DEFECT = 70
"""exit status when the console ended by a fault of its own, as that of the commands"""
_TICK = 1.0
_log = logging.getLogger("edxconsole.screens")
_IDLE = 2.0
_COLLECT_EVERY = 30.0

MODES = {
    "cluster": "ClusterScreen",
    "host": "HostScreen",
    "component": "ComponentScreen",
    "logs": "LogsScreen",
    "inspect": "InspectScreen",
    "health": "HealthScreen",
}
"""Every screen of the console, by its module in `screens`: a new one is one line here."""

_LATER = (
    *(f"screens.{kind}" for kind in MODES),
    "screens.acting",
    "screens.help",
    "screens.palette",
    "screens.prompting",
)
"""what is imported in a thread once the first frame is painted, so that no key waits for it"""


def _import_later() -> None:
    for name in _LATER:
        importlib.import_module(name)


def _make(kind: str, bridge: Bridge) -> LiveScreen:
    screen = getattr(importlib.import_module(f"screens.{kind}"), MODES[kind])(bridge)
    assert isinstance(screen, LiveScreen)
    return screen


def _places() -> type[Provider]:
    from screens.palette import PlaceEntries

    return PlaceEntries


def _commands() -> type[Provider]:
    from screens.palette import CommandEntries

    return CommandEntries


_BELOW_MODALS = frozenset(
    {"arm", "screen", "history", "reconnect", "command_palette", "next_theme", "help", "go_back"}
)


def _hides(screen: Screen[Any]) -> bool:
    """Whether a modal of ours is on top; the palette runs commands of the screen below it."""
    return isinstance(screen, ModalScreen) and not isinstance(screen, SystemModalScreen)


class EdxConsole(App[int]):
    """The console on a terminal.

    Args:
        bridge: the engine as screens see it.
        settings: the operator's preferences.
        prompter: asks for secrets and host keys in modals of this app.
        tuned: apply the garbage collection policy to this process.
    """

    TITLE = "edxconsole"
    CSS = SHEETS["console"] + SHEETS["live"]
    BINDINGS: ClassVar[list[BindingType]] = APP_BINDINGS
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_places, _commands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ENABLE_COMMAND_PALETTE = True
    DEFAULT_MODE = "cluster"
    NOTIFICATION_TIMEOUT = 6

    def __init__(
        self,
        bridge: Bridge,
        *,
        settings: Settings | None = None,
        prompter: ModalPrompter | None = None,
        ascii_only: bool = False,
        tuned: bool = False,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.bridge = bridge
        self.settings = settings or Settings()
        self.ascii_only = ascii_only or self.settings.ascii
        self._tuned = tuned
        self._prompter = prompter
        if prompter is not None:
            prompter.attach(self)
        self._history = History(Place("cluster"))
        self._acting: Acting | None = None
        self._frames = Pulse(self._show, fps=FRAMES, blocked=lambda: self._gate.closed)
        self._gate = CongestionGate(self)
        self._last_key = 0.0
        self._last_collect = 0.0
        for kind in MODES:
            self.add_mode(kind, partial(_make, kind, bridge))
        for theme in THEMES:
            self.register_theme(theme)
        wanted = self.settings.theme
        usual = "edx-mono" if self.no_color else "edx-dark"
        self.theme = wanted if wanted in self.available_themes and not self.no_color else usual
        self.stylesheet = Styles(variables=self.get_css_variables())
        if self.settings.keys:
            self.set_keymap(self.settings.keys)

    # Life.

    def on_load(self) -> None:
        """Before the terminal is taken, so that no signal can end us without giving it back."""
        if self._tuned:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.exit, 128 + number)

    def on_mount(self) -> None:
        if self._prompter is not None:
            self._prompter.opened()
        self.set_interval(_TICK, self._tick)
        self.call_after_refresh(self._open)

    @work(exit_on_error=False)
    async def _open(self) -> None:
        """Start the engine once the first frame is painted: its imports cost as much as Textual's."""
        if self._tuned:
            await asyncio.to_thread(_import_later)
        await self.bridge.open(self._frames.request)
        if self._tuned:
            # No collection of all that now: it takes 50 ms in which no key is heard.
            gc.freeze()
            gc.set_threshold(2000, 10, 1000)
            gc.enable()
            self._last_collect = self.bridge.clock.monotonic()

    def _tick(self) -> None:
        """Ages and countdowns, once a second; paints nothing when no word changed."""
        self._frames.request()
        now = self.bridge.clock.monotonic()
        idle = now - self._last_key > _IDLE and now - self._last_collect > _COLLECT_EVERY
        if self._tuned and gc.isenabled() and idle:
            self._last_collect = now
            gc.collect()

    def _show(self) -> None:
        screen = self.live_screen
        if screen is not None:
            screen.pull()

    @property
    def live_screen(self) -> LiveScreen | None:
        """The topmost screen that follows the cluster, below any modal."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, LiveScreen):
                return screen
        return None

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self._frames.key()
            if (screen := self.live_screen) is not None:
                screen.key_pressed()
            self._last_key = self.bridge.clock.monotonic()
        await super().on_event(event)

    def terminal_behind(self) -> bool:
        """Whether the terminal has not yet taken what was drawn."""
        return self._gate.closed

    def post_display_hook(self) -> None:
        self._gate.check()

    # Going places.

    async def go(self, place: Place) -> None:
        """Show a place, in its mode."""
        await self.switch_mode(place.kind)
        screen = self.live_screen
        if screen is not None:
            screen.visit(place)

    async def on_visit(self, message: Visit) -> None:
        self._history.visit(message.place)
        await self.go(message.place)

    async def action_history(self, step: int) -> None:
        place = self._history.step(step)
        if place is not None:
            await self.go(place)

    async def action_go_back(self) -> None:
        await self.action_history(-1)

    async def action_screen(self, kind: str) -> None:
        """A screen by number: at the place it last showed, or what suits where we are."""
        if kind not in MODES:
            return
        place = self._place_for(kind)
        self._history.visit(place)
        await self.go(place)

    def _place_for(self, kind: str) -> Place:
        """Where a screen begins: at what the cursor is on, where it was last, or the first there is."""
        screen = self.live_screen
        host, component = screen.selection() if screen is not None else ("", "")
        if kind == "cluster" or kind == self.current_mode:
            return self._history.last(kind) or Place(kind)
        if kind == "logs":
            return Place(kind, host, component)
        last = self._history.last(kind)
        hosts = list(self.bridge.cluster.hosts.values())
        if kind == "host":
            return (
                Place(kind, host, component) if host else last or Place(kind, hosts[0].name if hosts else "")
            )
        found = [i.component for h in hosts for i in h.instances]
        return Place(kind, host, component) if component else last or Place(kind, "", (found or [""])[0])

    # Commands.

    def action_leave(self) -> None:
        """Leave; while a plan runs, only when asked twice."""
        running = self._acting.running if self._acting is not None else []
        if running and not self._warned:
            self._warned = True
            what = "; ".join(run.summary() for run in running)
            self.notify(f"{what}. Press q again to leave all the same.", severity="warning", markup=False)
            return
        self.exit(0)

    _warned = False

    def action_help(self) -> None:
        from screens.help import HelpModal

        if not isinstance(self.screen, HelpModal):
            self.push_screen(HelpModal(self.screen.active_bindings.values()))

    async def action_arm(self) -> None:
        """Ask to arm; when armed, go back to read-only without asking."""
        if not self.bridge.ready:
            return
        if self.bridge.is_armed:
            await self.bridge.disarm()
            self._frames.request()
            self.notify("Read-only again.", markup=False)
        elif self.bridge.read_only:
            self.say_error(locked())
        elif not isinstance(self.screen, ModalScreen):
            from screens.arm import ArmModal

            modal = ArmModal(self.bridge, self.settings.arm_minutes)
            self.push_screen(modal, lambda _: self._frames.request())

    async def action_reconnect(self) -> None:
        screen = self.live_screen
        host = screen.selection()[0] if screen is not None else ""
        if host and self.bridge.ready:
            await self.bridge.reconnect(host)
            self.notify(f"Trying {host} again.", markup=False)

    def on_want_act(self, message: WantAct) -> None:
        if self.bridge.ready:
            self._act(message.target)

    @property
    def acting(self) -> Acting:
        """The way to a change, made when it is first wanted."""
        if self._acting is None:
            from screens.acting import Acting

            self._acting = Acting(self, self.bridge, self.settings.arm_minutes)
        return self._acting

    @work(exclusive=True, group="act", exit_on_error=False)
    async def _act(self, target: Target) -> None:
        try:
            await self.acting.act(target, self._run_plan)
        except EdxconsoleError as error:
            self.say_error(error)

    @work(group="plans", exit_on_error=False)
    async def _run_plan(self, run: PlanRun) -> None:
        await self.acting.run(run)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in a worker is said and logged, and never ends the console."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            error = event.worker.error
            _log.error("in %s", event.worker.name, exc_info=error)
            text = f"{type(error).__name__} inside the console; the log file has the details."
            self.notify(text, severity="error", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """On modals only what belongs to them works; the rest of the console waits below."""
        if action in _BELOW_MODALS and _hides(self.screen):
            return False
        return super().check_action(action, parameters)

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.notify(f"Theme {self.theme}", timeout=2, markup=False)

    def action_suspend_process(self) -> None:
        with self.batch_update():
            super().action_suspend_process()

    def _fatal_error(self) -> None:
        """A defect ends the console: one sentence on the terminal, the traceback in the log file.

        Textual's own would print the traceback with the local variables of every frame.
        """
        error = self._exception
        self._return_code = DEFECT
        if self._exit_renderables:
            _log.error("and by another, while it ended")
            return
        _log.error("the console ended by a defect", exc_info=error)
        said = Text(f"edxconsole ended by a defect of its own, {type(error).__name__}; ")
        self._exit_renderables.append(said.append(f"the details are in {log_file()}."))
        self._close_messages_no_wait()

    def say_error(self, error: EdxconsoleError) -> None:
        """One sentence; never markup."""
        self.notify(str(error), severity="error", markup=False)
