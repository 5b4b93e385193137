"""Files and services that an inspector looks at, as hosts have them at their worst."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from edxconsole.cluster.model import State
from edxconsole.errors import (
    CommandTimedOut,
    NotUnderstood,
    PermissionMissing,
    ServiceError,
    ServiceUnavailable,
)
from edxconsole.health.wire import Wire
from edxconsole.inspect.report import MAX_ROWS, Report
from edxconsole.inspect.sight import ANSWERS, FILE_LIMIT, REFUSES
from edxconsole.transport.base import TcpEndpoint
from tests.unit.inspect.stage import Stage, served, sight


async def test_a_file_is_read_by_the_login_user(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "a b'$(x)").write_text("hello\n")
    assert await sight(stage).read(str(tmp_path / "a b'$(x)")) == "hello\n"
    assert [become for become, _ in stage.ran] == [None]


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 << 20)


def binary(path: Path) -> None:
    path.write_bytes(b"\x7fELF\0\0\0")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (large, NotUnderstood, f"larger than {FILE_LIMIT // 1024} KiB"),
        (binary, NotUnderstood, "is binary"),
        (Path.mkdir, NotUnderstood, "is no ordinary file"),
        (os.mkfifo, NotUnderstood, "is no ordinary file"),
        (lambda path: None, ServiceUnavailable, "there is no "),
    ],
)
async def test_what_is_no_configuration_is_told(
    stage: Stage, tmp_path: Path, make: object, error: type[ServiceError], words: str
) -> None:
    assert callable(make)
    make(tmp_path / "x")
    with pytest.raises(error) as told:
        await sight(stage).read(str(tmp_path / "x"))
    assert words in told.value.cause


async def test_without_sudo_the_rule_that_is_missing_is_told(stage: Stage) -> None:
    stage.script = {"sh -c": (77, "", "")}
    with pytest.raises(PermissionMissing) as told:
        await sight(stage, sudo=False).read("/etc/redis/redis.conf")
    assert told.value.cause == "ops may not read /etc/redis/redis.conf"
    assert "become: sudo" in (told.value.remedy or "")
    assert "ops ALL=(root) NOPASSWD: /usr/bin/head -c" in (told.value.remedy or "")
    assert len(stage.ran) == 1


async def test_with_sudo_it_is_read_as_its_owner(stage: Stage) -> None:
    stage.script = {"sh -c": (77, "", ""), "head -c": "workers = 4\n"}
    assert await sight(stage).read("/x.py", user="www-data") == "workers = 4\n"
    assert stage.ran[-1][0] == "www-data"


async def test_a_tail_has_whole_lines(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    text = await sight(stage).tail(str(path), 100)
    assert text.startswith("line ")
    assert text.endswith("line 999\n")
    assert await sight(stage).tail(str(path), 1 << 20) == path.read_text()


async def first_line(wire: Wire) -> bytes:
    return await wire.until(b"\n")


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up at once."""


@pytest.mark.parametrize(
    ("serve", "words"),
    [(endless, "answers without an end"), (silent, "gave no answer within 0.3 s"), (gone, "hung up")],
)
async def test_a_service_that_does_not_answer_is_told(stage: Stage, serve: object, words: str) -> None:
    assert callable(serve)
    async with served(serve) as port:
        with pytest.raises(ServiceUnavailable) as told:
            await sight(stage).ask(TcpEndpoint("127.0.0.1", port), first_line, timeout=0.3)
    assert words in told.value.cause


async def test_whether_a_port_accepts(stage: Stage) -> None:
    async with served(gone) as port:
        assert await sight(stage).connects(TcpEndpoint("127.0.0.1", port), 2.0) == ANSWERS
    assert await sight(stage).connects(TcpEndpoint("127.0.0.1", 1), 2.0) == REFUSES


async def test_what_gets_into_a_report_is_clean_masked_and_bounded() -> None:
    report = Report()
    part = report.part("p")
    part.facts("s\x1b[2J", url="amqp://celery:hunter2@h/\x1b]0;pwned\x07", long="x" * 9000, nan=float("nan"))
    part.table("t", ("a", "b"), [{"a": n} for n in range(MAX_ROWS + 7)], source="s")
    report.degraded("bad \x1b[31mredis://:hunter2@h")
    report.down("worse")
    report.part("empty")

    async def late() -> str:
        raise CommandTimedOut("it did not end", remedy="look")

    assert await report.attempt("all", late()) is None
    found = report.done("h", "x")
    section = found.section("p")
    assert section.fact("url") == "amqp://***@h/"
    assert len(str(section.fact("long"))) == 300
    assert section.fact("nan") is None
    assert (len(section.table("t").rows), section.table("t").left_out) == (MAX_ROWS, 7)
    assert section.table("t").rows[3] == {"a": 3, "b": None}
    assert [(f.state, f.text) for f in found.findings] == [
        (State.DEGRADED, "bad redis://***@h"),
        (State.DOWN, "worse"),
    ]
    assert [(m.what, m.cause, m.remedy) for m in found.missing] == [("all", "it did not end", "look")]
    assert [s.name for s in found.sections] == ["p"]
    assert "\x1b" not in repr(found)
