"""Whatever a host sends, it is text: never markup, never anything a terminal obeys."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Problem, State
from edxconsole.logs.model import LogBatch, LogSource
from tests.tui import snapshots
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.canvas import Canvas
from widgets.log_pane import LogPane

CORPUS = [
    "Group [/oops]",
    "[@click=app.quit]click[/]",
    "[bold red]loud",
    "\x1b]52;c;aGFja2Vk\x07",
    "\x1b]0;title\x07\x1b[2J\x1b[H",
    "\x9b31mC1\x9d0;x\x9c",
    "\u202egnp.exe\u2066\u2069",
    "lone \ud800 surrogate",
    "tab\tand\rreturn\nnewline",
    "wide 漢字 🙂 e\u0301\u200d",
    "%s {0} ${HOME} `id`",
    "x" * 5_000,
]
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def poisoned(text: str) -> ClusterSnapshot:
    """Every free text of the model replaced."""
    cluster = snapshots.cluster()
    hosts = {}
    for name, host in cluster.hosts.items():
        units = {k: replace(u, name=text, word=text, detail=text) for k, u in host.units.items()}
        instances = tuple(
            replace(
                i, reason=text, units=(f"{snapshots.SOCK}/{text}",),
                evidence=tuple(replace(e, text=text, source=text) for e in i.evidence),
            )
            for i in host.instances
        )  # fmt: skip
        listeners = tuple(replace(s, process=text, user=text, address=text) for s in host.listeners)
        hosts[name] = replace(
            host, reason=text, hostname=text, kernel=text, notes=(text,), units=units,
            instances=instances, listeners=listeners,
            processes={k: replace(p, user=text, comm=text) for k, p in host.processes.items()},
            supervisors=tuple(replace(s, error=text, version=text) for s in host.supervisors),
        )  # fmt: skip
    return replace(cluster, hosts=hosts, problems=(Problem(State.DOWN, "app1", "cms", text, snapshots.NOW),))


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_no_pane_lets_it_through(text: str) -> None:
    app, engine = make_app(poisoned(text))
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        for key in ("1", "2", "3", "4"):
            await pilot.press("down", key)
            await rest(pilot)
            for pane in app.screen.query(Canvas):
                width = pane.size.width
                for y in range(pane.size.height):
                    strip = pane._draw(y, width)
                    assert not FORBIDDEN.search(strip.text), (pane, strip.text)
                    assert strip.cell_length == width
        assert app.is_running
        assert engine.runs == []


async def test_nor_does_a_log_line() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        await pilot.press("4")
        await rest(pilot)
        source = LogSource("app1", "/x\x1b]0;y\x07[/z]", "lms", "lms\x9b")
        for text in CORPUS:
            line = text.replace("\n", " ") + "\n"
            engine.feeds[-1].put(LogBatch(source, snapshots.NOW, line))
        engine.feeds[-1].put(LogBatch(source, snapshots.NOW, mark="denied"))
        await rest(pilot)
        pane = app.screen.query_one(LogPane)
        shown = lines(pane)
        assert any("Group [/oops]" in t for t in shown)
        assert not any(FORBIDDEN.search(t) for t in shown)
        pane.action_side(3)
        assert not any(FORBIDDEN.search(t) for t in lines(pane))


async def test_errors_and_questions_with_markup_are_shown_as_they_are() -> None:
    from edxconsole.errors import HostUnreachable
    from screens.prompting import SecretModal

    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        app.say_error(HostUnreachable("refused [/x] \x1b]0;t\x07", host="app1"))
        app.push_screen(SecretModal("app1", "[/x] Verification code\x1b[2J: "))
        await rest(pilot)
        assert "Verification code" in app.export_screenshot().replace("&#160;", " ")


async def test_a_defect_ends_in_a_sentence_and_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, _ = make_app()

    async def fail() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            await rest(pilot)
            password = "hunter2"
            app._handle_exception(ValueError(password))
            said = [str(r) for r in app._exit_renderables]
            assert len(said) == 1
            assert "ended by a defect of its own, ValueError" in said[0]
            assert "hunter2" not in said[0]

    with pytest.raises(ValueError, match="hunter2"):
        await fail()
    assert "the console ended by a defect" in caplog.text
