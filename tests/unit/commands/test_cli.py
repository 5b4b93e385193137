"""The command line: one sentence per error, the right exit status, and cheap to start."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from edxconsole import cli, settings
from edxconsole.commands.group import COMMANDS, LazyGroup
from edxconsole.errors import HostUnreachable, InventoryError, NotConfirmed

SLOW = ("asyncssh", "paramiko", "textual", "psutil", "jeepney", "httpx")
HOSTS = "cluster: t\nhosts:\n  here: {transport: local}\n"


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("EDXCONSOLE_HOSTS", raising=False)
    monkeypatch.chdir(tmp_path)


def edxconsole(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edxconsole", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), **more},
    )


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys; from edxconsole.cli import run; status = run(['--help']); "
        f"print([m for m in {SLOW} if m in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name: str) -> None:
    command = LazyGroup().get_command(click.Context(click.Command("x")), name)
    assert command is not None
    assert command.name == name
    assert command.help or command.short_help


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["stauts"], 2, "there is no command 'stauts'; did you mean 'status'?"),
        (["status", "--nope"], 2, "No such option"),
        (["status"], 2, "edxconsole: no inventory: neither ./hosts.yaml nor"),
        (["status", "--hosts", "gone.yaml"], 2, "edxconsole: --hosts names gone.yaml, which does not exist"),
        (["--hosts", "gone.yaml", "ports"], 2, "edxconsole: --hosts names gone.yaml"),
        (["catalog", "lsm"], 2, "the catalog has no component 'lsm'; did you mean 'lms'?"),
        (["logs", "--grep", "("], 2, "--grep '(' is no regular expression"),
        ([], 2, "edxconsole: the console needs a terminal; use `edxconsole status` in a pipe or script."),
        (["discover", "--at", "app1", "lms"], 2, "edxconsole: --at is for hosts of no inventory"),
        (["discover", "--at", "a;b"], 2, "'a;b': found 'a;b', expected a name"),
        (["discover", "--sudo"], 2, "edxconsole: --sudo is for --at; write become: sudo in hosts.yaml"),
        (["init", "-o", "-", "a;b"], 2, "'a;b': found 'a;b', expected a name"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], status: int, words: str) -> None:
    done = edxconsole(*arguments)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_every_mistake_of_hosts_yaml_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("hosts:\n  a: {port: x}\n  b: {usr: y}\n")
    done = edxconsole("status")
    assert done.returncode == 2
    assert "hosts.yaml:2: hosts.a.port: found 'x', expected a whole number" in done.stderr
    assert "hosts.yaml:3: hosts.b.usr: unknown key; did you mean 'user'?" in done.stderr


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def boom(hosts: Path | None = None, *, read_only: bool = False) -> int:
        raise error

    monkeypatch.setattr(cli, "open_console", boom)
    return cli.run([])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InventoryError("x"), 2),
        (HostUnreachable("x", host="app1"), 3),
        (NotConfirmed("x"), 4),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (ExceptionGroup("g", [ValueError("y"), HostUnreachable("x", host="app1")]), 3),
        (BaseExceptionGroup("g", [ExceptionGroup("h", [NotConfirmed("x")]), KeyboardInterrupt()]), 130),
        (ZeroDivisionError("secret"), 70),
    ],
)
def test_exit_statuses(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    assert run_raising(monkeypatch, error) == status
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert len(said.splitlines()) == (0 if status == 130 else 1)


def test_a_fault_of_ours_goes_to_a_private_log_file(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = edxconsole_crashing()
    assert done.returncode == 70
    log = settings.log_file()
    assert f"the traceback is in {log}" in done.stderr
    text = log.read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: boom" in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


def edxconsole_crashing() -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\nfrom edxconsole import cli\n"
        "def boom(hosts=None, read_only=False): raise ZeroDivisionError('boom')\n"
        "cli.open_console = boom\nsys.argv = ['edxconsole']\ncli.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )


def test_an_unwritable_log_file_is_said_and_nothing_else_breaks(tmp_path: Path) -> None:
    (tmp_path / "xdg_state_home").write_text("a file where a directory should be")
    done = edxconsole_crashing()
    assert done.returncode == 70
    assert "the log file can't be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_remote_escapes_in_an_error_never_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_raising(monkeypatch, HostUnreachable("said \x1b]0;pwned\x07\x9b2J \u202eabc", host="app1"))
    said = capfd.readouterr().err
    assert "app1: said" in said
    assert not any(c in said for c in "\x1b\x07\x9b\u202e")


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m edxconsole catalog lms cms nginx mysql | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "PYTHONUNBUFFERED": "1"},
    )
    assert done.stdout.startswith("lms")
    assert done.stderr == ""
    assert done.returncode in (0, cli.PIPE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_quiet_and_130(tmp_path: Path, number: signal.Signals) -> None:
    """A host that never answers: a socket that accepts and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "hosts.yaml").write_text(f"hosts: {{slow: {{address: 127.0.0.1, port: {port}}}}}\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "edxconsole", "status"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        )
        server.settimeout(30)
        with server.accept()[0]:
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err) == ("", "")


def test_version_says_what_it_stands_on() -> None:
    done = edxconsole("version", "--json")
    body = json.loads(done.stdout)
    assert body["schema"] == "edxconsole/1"
    assert body["libraries"]["asyncssh"][0].isdigit()


def test_catalog_as_json_is_the_whole_catalog() -> None:
    body = json.loads(edxconsole("catalog", "--json").stdout)
    assert {"lms", "nginx", "mysql"} <= {c["id"] for c in body["components"]}


def test_colour_only_on_a_terminal_that_wants_it(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    assert "\x1b[" not in edxconsole("catalog").stdout
    assert "\x1b[" in on_a_terminal(["catalog"])
    assert "\x1b[" not in on_a_terminal(["catalog"], NO_COLOR="1")


def on_a_terminal(arguments: list[str], **more: str) -> str:
    """What a command prints on a real pty."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {
            **os.environ,
            "TERM": "xterm",
            **more,
            "PYTHONPATH": str(Path(cli.__file__).parents[1]),
        }
        os.execve(sys.executable, [sys.executable, "-m", "edxconsole", *arguments], environment)
    got, end = bytearray(), time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                got += os.read(terminal, 65536)
            except OSError:
                break
    os.close(terminal)
    os.waitpid(pid, 0)
    return got.decode()


@pytest.mark.parametrize("verb", ["restart", "reload", "start", "stop"])
def test_read_only_refuses_every_change_before_connecting(tmp_path: Path, verb: str) -> None:
    (tmp_path / "hosts.yaml").write_text("cluster: t\nhosts:\n  a: {address: 192.0.2.1}\n")
    done = edxconsole("--read-only", verb, "lms@a", "--yes", "--reason", "test")
    assert done.returncode == 4
    assert done.stdout == ""
    assert "read-only" in done.stderr
    assert "--read-only" in done.stderr
    assert not list((tmp_path / "xdg_state_home").rglob("journal*"))


def test_read_only_reaches_the_console_also_the_demos(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[bool] = []

    def opener(hosts: Path | None = None, *, read_only: bool = False) -> int:
        opened.append(read_only)
        return 0

    monkeypatch.setattr(cli, "open_console", opener)
    monkeypatch.setattr("edxconsole.demo.launch.run_console", lambda open_it: open_it(Path("inside.yaml")))
    for arguments in ([], ["--read-only"], ["--read-only", "demo"], ["demo"]):
        assert cli.run(arguments) == 0
    assert opened == [False, True, True, False]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ([], (None, False)),
        (["--hosts", "a.yaml"], (Path("a.yaml"), False)),
        (["--read-only", "--hosts", "a.yaml"], (Path("a.yaml"), True)),
        (["--hosts", "a.yaml", "--hosts", "b.yaml"], (Path("b.yaml"), False)),
        (["--hosts"], None),
        (["--hosts", ""], None),
        (["--hosts", "--read-only"], None),
        (["--help"], None),
        (["--hosts", "a.yaml", "status"], None),
    ],
)
def test_only_what_is_plain_opens_the_console_without_click(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], meant: tuple[Path | None, bool] | None
) -> None:
    assert cli._console_only(arguments) == meant
    if meant is None:
        return
    said: list[tuple[Path | None, bool]] = []

    def opened(hosts: Path | None, *, read_only: bool) -> int:
        said.append((hosts, read_only))
        return 0

    monkeypatch.setattr(cli, "open_console", opened)
    assert cli.run(arguments) == 0
    monkeypatch.setattr(cli, "_console_only", lambda _: None)
    assert cli.run(arguments) == 0
    assert said == [meant, meant]


def test_an_interrupt_that_python_wrapped_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Python 3.12 whatever a `__set_name__` raises, as a signal's handler may, is a RuntimeError."""

    def interrupted(hosts: Path | None, *, read_only: bool) -> int:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(cli, "open_console", interrupted)
    assert cli.run([]) == 130
    assert capsys.readouterr().err == ""


def test_told_to_end_where_ctrl_c_is_ignored(tmp_path: Path) -> None:
    """As a script's background job starts us: Ctrl-C stays ignored, SIGTERM still cancels what runs."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "hosts.yaml").write_text(f"hosts: {{slow: {{address: 127.0.0.1, port: {port}}}}}\n")
        process = subprocess.Popen(
            ["sh", "-c", 'trap "" INT; exec "$0" -m edxconsole status', sys.executable],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        )
        server.settimeout(30)
        with server.accept()[0]:
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err) == ("", "")
