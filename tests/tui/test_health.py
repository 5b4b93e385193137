"""Health asked on the screen: every check with its rate, answers as they come, what costs when told to."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from edxconsole.cluster.model import Link, State
from edxconsole.errors import ConnectionLost
from screens.asking_screen import FRESH
from screens.cluster import ClusterScreen
from screens.component import ComponentScreen
from screens.health import HealthScreen
from screens.host import HostScreen
from screens.inspect import InspectScreen
from screens.place import Place, Visit
from tests.tui import snapshots
from tests.tui.asking_health import (
    BEAT1,
    BEAT2,
    MORE1,
    MORE2,
    live,
    on_lms,
    pass_time,
    row,
    shown,
    told,
)
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.canvas import Canvas
from widgets.health_view import HealthView
from widgets.matrix_view import MatrixView
from widgets.service_table import ServiceTable


async def test_cheap_checks_are_asked_at_once_and_those_that_cost_only_when_told() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await on_lms(pilot)
        assert engine.checked == [BEAT1, BEAT2]
        text = shown(screen)
        assert "HEALTH OF LMS  2 of 4 answered · 2 costly not asked" in text[0]
        titles = ["host", "check", "level", "state", "every", "took", "age", "asks", "answer"]
        assert text[1].split() == titles
        beat = row(screen, "app1", "heartbeat")
        for words in ("L3", "● up", "8 s", "41 ms", "now", "GET /heartbeat at 127.0.0.1:8000 as localhost"):
            assert words in beat
        assert "/heartbeat answers 200" in beat
        assert "○ not asked" in row(screen, "app2", "extended heartbeat")
        assert "costs the same as on app1" in row(screen, "app2", "extended heartbeat")
        more = row(screen, "app1", "extended heartbeat")
        for words in ("○ not asked", "on demand", "costs: it queues a task", "share", "a memcached"):
            assert words in more
        await pilot.press("r")
        assert engine.checked == [BEAT1, BEAT2] * 2
        await pilot.press("x")
        assert engine.checked[4:] == [MORE1, MORE2]
        assert "4 of 4 answered" in shown(screen)[0]
        assert "not asked" not in "\n".join(shown(screen))
        assert "● up" in row(screen, "app2", "extended heartbeat")


async def test_a_certificate_is_asked_for_by_the_names_of_the_inventory() -> None:
    app, _ = make_app(live())
    app.bridge.inventory = replace(app.bridge.inventory, sites=("lms.example", "cms.example"))
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        app.screen.post_message(Visit(Place("health", "web", "nginx")))
        await rest(pilot)
        assert isinstance(app.screen, HealthScreen)
        assert "the certificate for lms.example, cms.example" in row(app.screen, "web", "certificate")


async def from_component(pilot: Pilot[Any]) -> type:
    pilot.app.screen.query_one(MatrixView).focus()
    await pilot.press("home", "enter")
    return ComponentScreen


async def from_host(pilot: Pilot[Any]) -> type:
    pilot.app.screen.post_message(Visit(Place("host", "web")))
    await rest(pilot)
    pilot.app.screen.query_one(ServiceTable).move_to("c:nginx")
    await rest(pilot)
    return HostScreen


async def from_cluster(pilot: Pilot[Any]) -> type:
    pilot.app.screen.query_one(MatrixView).focus()
    await pilot.press("home")
    return ClusterScreen


@pytest.mark.parametrize("go", [from_component, from_host, from_cluster], ids=lambda f: f.__name__)
async def test_it_is_of_what_the_cursor_is_on_and_escape_leads_back(
    go: Callable[[Pilot[Any]], Awaitable[type]],
) -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        kind = await go(pilot)
        assert isinstance(app.screen, kind)
        await pilot.press("H")
        assert isinstance(app.screen, HealthScreen)
        assert "HEALTH OF NGINX" in shown(app.screen)[0]
        assert engine.checked == ["web/answers", "web/maintenance", "web/certificate"]
        rates = [row(app.screen, "web", name) for name in ("answers", "maintenance", "certificate")]
        assert all(rate in said for rate, said in zip(("8 s", "1 min", "15 min"), rates, strict=True))
        await pilot.press("x")
        assert len(engine.checked) == 3
        await pilot.press("escape")
        assert isinstance(app.screen, kind)


async def test_the_cursor_begins_at_the_host_one_came_from() -> None:
    app, _ = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        app.screen.post_message(Visit(Place("health", "app2", "lms")))
        await rest(pilot)
        assert isinstance(app.screen, HealthScreen)
        assert app.screen.query_one(HealthView).cursor_key == BEAT2
        assert app.screen.selection() == ("app2", "lms")
        assert "heartbeat on app2, L3, asked every 8 s by itself" in told(app.screen)
        await pilot.press("down")
        assert "extended heartbeat on app2, L3, asked never by itself" in told(app.screen)
        assert snapshots.COST in told(app.screen)
        await pilot.press("i")
        assert isinstance(app.screen, InspectScreen)
        assert app.screen.place == Place("inspect", "app2", "lms")


async def test_a_host_that_does_not_answer_delays_no_other() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.gates["app1"] = asyncio.Event()
        screen = await on_lms(pilot)
        assert "1 of 4 answered · asking 1" in shown(screen)[0]
        assert "● up" in row(screen, "app2", "heartbeat")
        pass_time(engine, screen, 7.0)
        await rest(pilot)
        assert "◌ asking 7 s" in row(screen, "app1", "heartbeat")
        assert "● up" in row(screen, "app2", "heartbeat")
        assert "5 s" in row(screen, "app2", "heartbeat")
        await pilot.press("x", "r", "x")
        assert sorted(engine.checked) == sorted([BEAT1, BEAT2, BEAT2, MORE1, MORE2, MORE2])
        engine.gates["app1"].set()
        await rest(pilot)
        assert "4 of 4 answered" in shown(screen)[0]
        assert "asking" not in shown(screen)[0]


async def test_a_costly_check_holds_up_no_cheap_one() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.gates[MORE1] = asyncio.Event()
        screen = await on_lms(pilot)
        await pilot.press("x", "r")
        assert engine.checked.count(BEAT1) == 2
        assert "◌ asking" in row(screen, "app1", "extended heartbeat")
        assert "● up" in row(screen, "app1", "heartbeat")
        engine.gates[MORE1].set()


@pytest.mark.parametrize("keys", [("escape",), ("1",), ("left_square_bracket",)])
async def test_leaving_ends_the_asking_and_coming_back_asks_anew(keys: tuple[str, ...]) -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.gates = {"app1": asyncio.Event(), "app2": asyncio.Event()}
        screen = await on_lms(pilot)
        await pilot.press("x")
        await pilot.press(*keys)
        assert not isinstance(app.screen, HealthScreen)
        assert sorted(engine.unasked) == sorted([BEAT1, BEAT2, MORE1, MORE2])
        assert screen.asking.running == 0
        engine.gates, engine.checked = {}, []
        app.screen.post_message(Visit(Place("health", "app1", "lms")))
        await rest(pilot)
        assert engine.checked == [BEAT1, BEAT2], "what costs is not asked by coming back"
        assert "2 of 4 answered · 2 costly not asked" in shown(screen)[0]


async def test_what_is_left_before_it_began_leaves_nothing_behind() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        for _ in range(20):
            screen.asking.forget()
            screen.asking.ask("lms")
        await rest(pilot)
        gc.collect()
        assert len(engine.checked) == 4
        assert "2 of 4 answered" in shown(screen)[0]


async def test_keys_before_the_engine_is_there_do_nothing() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        screen.asking.forget()
        there, app.bridge._engine = app.bridge._engine, None
        for action in (screen.action_ask_costly, screen.action_ask_again):
            action()
        assert engine.checked == [BEAT1, BEAT2]
        app.bridge._engine = there


async def test_help_on_top_of_it_ends_nothing_and_lists_its_keys() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.gates["app1"] = asyncio.Event()
        await on_lms(pilot)
        await pilot.press("question_mark")
        help_text = "\n".join(t for pane in app.screen.query(Canvas) for t in lines(pane))
        assert "Ask again" in help_text
        assert "Ask costly" in help_text
        await pilot.press("escape")
        assert engine.unasked == []
        engine.gates["app1"].set()


async def test_coming_back_soon_asks_nothing_and_later_asks_anew() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        for passed, asked in ((FRESH - 1, 2), (2, 4)):
            await pilot.press("escape")
            pass_time(engine, screen, passed)
            await pilot.press("right_square_bracket")
            assert isinstance(app.screen, HealthScreen)
            assert len(engine.checked) == asked


async def test_another_component_leaves_the_checks_of_the_first() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.gates["app1"] = asyncio.Event()
        screen = await on_lms(pilot)
        screen.post_message(Visit(Place("health", "web", "nginx")))
        await rest(pilot)
        assert engine.unasked == [BEAT1]
        assert "HEALTH OF NGINX  3 of 3 answered" in shown(screen)[0]
        assert len(screen.query_one(HealthView).items) == 3


async def test_hosts_that_are_stale_or_lost_are_not_asked_and_never_green() -> None:
    """app2 is stale and data is lost here."""
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        assert engine.checked == [BEAT1]
        stale = row(screen, "app2", "heartbeat")
        assert "? unknown" in stale
        assert "not asked, as app2 is stale: nothing heard for 4 s" in " ".join(stale.split())
        await pilot.press("x")
        assert engine.checked == [BEAT1, MORE1]
        screen.post_message(Visit(Place("health", "data", "memcached")))
        await rest(pilot)
        lost = " ".join(row(screen, "data", "stats").split())
        assert "? unknown" in lost
        assert "not asked, as data is lost: the connection was reset" in lost
        assert engine.checked == [BEAT1, MORE1]


async def test_an_answer_is_no_longer_green_once_its_host_is_lost() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        for link, words in ((Link.STALE, "≈ was up"), (Link.LOST, "? was up")):
            away = replace(engine.snapshot.hosts["app1"], link=link, reason="nothing heard")
            version = engine.snapshot.version + 1
            hosts = {**engine.snapshot.hosts, "app1": away}
            engine.publish(replace(engine.snapshot, version=version, hosts=hosts))
            await rest(pilot)
            assert words in row(screen, "app1", "heartbeat")
            assert "●" not in row(screen, "app1", "heartbeat")
            assert "● up" in row(screen, "app2", "heartbeat")


async def test_what_could_not_be_asked_is_asked_when_its_host_is_back() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        assert engine.checked == [BEAT1]
        back = replace(engine.snapshot.hosts["app2"], link=Link.LIVE, reason="")
        hosts = {**engine.snapshot.hosts, "app2": back}
        engine.publish(replace(engine.snapshot, version=30, hosts=hosts))
        await rest(pilot)
        assert engine.checked == [BEAT1, BEAT2]
        assert "● up" in row(screen, "app2", "heartbeat")


async def test_a_connection_that_breaks_is_unknown_and_a_bad_answer_is_what_it_is() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.health[BEAT1] = ConnectionLost("the connection was reset", host="app1", remedy="press r")
        engine.health[BEAT2] = (State.DEGRADED, "/heartbeat answers 503: sql false", 1.34)
        screen = await on_lms(pilot)
        broken = " ".join(row(screen, "app1", "heartbeat").split())
        assert "? unknown" in broken
        assert "app1: the connection was reset; press r." in broken
        bad = row(screen, "app2", "heartbeat")
        assert all(words in bad for words in ("◐ degraded", "1.3 s", "/heartbeat answers 503: sql false"))
        assert "1 of 4 answered" in shown(screen)[0]
        del engine.health[BEAT1]
        await pilot.press("r")
        assert "● up" in row(screen, "app1", "heartbeat")
        engine.health[BEAT1] = ConnectionLost("the connection was reset", host="app1", remedy="press r")
        await pilot.press("r")
        gone = row(screen, "app1", "heartbeat")
        assert "? unknown" in gone
        assert "41 ms" not in gone, "how long an earlier answer took says nothing of this one"


async def test_a_fault_of_the_console_is_said_and_delays_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        engine.health[BEAT1] = KeyError("oops")
        screen = await on_lms(pilot)
        said = " ".join(row(screen, "app1", "heartbeat").split())
        assert "? unknown" in said
        assert "broken off by a fault of the console" in said
        assert "● up" in row(screen, "app2", "heartbeat")
    assert "KeyError" in caplog.text


async def test_what_no_check_is_known_of_is_said_to_be_unknown() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        app.screen.post_message(Visit(Place("health", "app1", "xqueue")))
        await rest(pilot)
        assert isinstance(app.screen, HealthScreen)
        assert "knows of no check of xqueue: how well it does is unknown" in shown(app.screen)[1]
        await pilot.press("x", "r", "down", "G", "y")
        assert engine.checked == []


async def test_without_a_component_there_is_nothing_to_ask() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        await pilot.press("H")
        assert isinstance(app.screen, ClusterScreen)
        assert engine.checked == []


async def test_only_what_the_filter_leaves_is_asked_at_a_cost() -> None:
    app, engine = make_app(live())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        await pilot.press("slash", *"app2", "enter")
        assert [item.key for item in screen.query_one(HealthView).items] == [BEAT2, MORE2]
        assert "2 shown  /app2" in shown(screen)[0]
        await pilot.press("x")
        assert engine.checked == [BEAT1, BEAT2, MORE2]
        await pilot.press("escape")
        assert isinstance(app.screen, HealthScreen)
        assert len(screen.query_one(HealthView).items) == 4
