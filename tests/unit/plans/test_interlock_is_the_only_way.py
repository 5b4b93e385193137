"""Walk the code: only the interlock changes a host. Each rule is shown to catch a planted violation."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = ("edxconsole", "screens", "widgets")
INTERLOCK = "edxconsole/plans/interlock.py"

MAY_RUN_COMMANDS = {
    "edxconsole/transport/": "the transports themselves",
    "edxconsole/demo/": "its own machine: starts and breaks the demo's hosts, never an inventory's",
    "edxconsole/probe/launcher.py": "starts the read-only probe",
    "edxconsole/services/": "managers; what changes a host there takes a Permit (checked below)",
    "edxconsole/plans/syslog.py": "logger(1), from within the interlock",
    "edxconsole/plans/runner.py": "preflight checks of the catalog, such as nginx -t",
    "edxconsole/inspect/sight.py": "what inspect/reads.py lists; tests/unit/inspect/test_reads.py holds it",
    "edxconsole/health/rabbitmq.py": "head(1) of two configuration files, before GET /api/queues",
    "edxconsole/health/mysql_login.py": "mysql(1) with one fixed line of SELECT 1 and SHOW",
    "edxconsole/health/files.py": "stat(1) of one path; tests/unit/health/test_files.py holds it",
    "edxconsole/commands/checking.py": "what can be reached and what sudo allows (sudo -n -l)",
}
"""Who may run a command on a host at all, and why. Anything else is a way round the interlock."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for top in CODE:
        for path in sorted((ROOT / top).rglob("*.py")):
            if path.name != "agent.py":
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(), str(path))


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def permit_makers(tree: ast.Module) -> list[int]:
    return [c.lineno for c in calls(tree) if name_of(c.func) == "Permit"]


def permit_users(tree: ast.Module) -> list[int]:
    """Calls that hand a permit on: the only calls that can change a host."""
    return [c.lineno for c in calls(tree) if any(k.arg == "permit" for k in c.keywords)]


def command_runners(tree: ast.Module) -> list[int]:
    """Calls of `.run(...)` or `.process(...)` on something called transport."""
    found = []
    for call in calls(tree):
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in ("run", "process"):
            inner = func.value.func if isinstance(func.value, ast.Call) else func.value
            if "transport" in name_of(inner).lower():
                found.append(call.lineno)
    return found


def takes_permit(node: ast.AST) -> bool:
    """A function with a `permit` parameter, or a class that can't be made without one."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return any(a.arg == "permit" for a in [*node.args.args, *node.args.kwonlyargs])
    return isinstance(node, ast.ClassDef) and any(
        isinstance(item, ast.AnnAssign) and name_of(item.target) == "permit" and item.value is None
        for item in node.body
    )


MUTATING_RPC = ("startProcess", "stopProcess", "signalProcess")
NEVER_RPC = (
    "supervisor.shutdown", "supervisor.restart", "clearLog", "clearProcessLogs", "clearAllProcessLogs",
    "reloadConfig", "addProcessGroup", "removeProcessGroup", "stopProcessGroup", "startProcessGroup",
    "stopAllProcesses", "startAllProcesses", "signalAllProcesses", "signalProcessGroup",
)  # fmt: skip


def unguarded_rpc(tree: ast.Module) -> list[int]:
    """Mutating RPC names used outside a function that takes a permit."""
    guarded: set[int] = set()
    for node in ast.walk(tree):
        if takes_permit(node):
            guarded.update(id(inner) for inner in ast.walk(node))
    return [
        node.lineno
        for call in calls(tree)
        for node in ast.walk(call)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(rpc in node.value for rpc in MUTATING_RPC)
        and id(node) not in guarded
    ]


def test_only_the_interlock_makes_permits() -> None:
    makers = {path for path, tree in modules() if permit_makers(tree)}
    assert makers == {INTERLOCK}


def test_only_the_interlock_and_the_managers_hand_permits_on() -> None:
    users = {path for path, tree in modules() if permit_users(tree)}
    assert INTERLOCK in users
    assert all(p == INTERLOCK or p.startswith("edxconsole/services/") for p in users), users


def test_only_named_modules_run_commands_on_hosts() -> None:
    runners = {path for path, tree in modules() if command_runners(tree)}
    strays = {p for p in runners if not any(p.startswith(allowed) for allowed in MAY_RUN_COMMANDS)}
    assert not strays
    assert "edxconsole/plans/runner.py" in runners, "the walk no longer recognises a command"


def test_dangerous_supervisor_calls_appear_nowhere() -> None:
    for path, tree in modules():
        for call in calls(tree):
            for node in ast.walk(call):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert not any(node.value.endswith(rpc) for rpc in NEVER_RPC), (path, node.lineno)


def test_mutating_supervisor_calls_need_a_permit() -> None:
    strays = {path: lines for path, tree in modules() if (lines := unguarded_rpc(tree))}
    assert not strays


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (permit_makers, "from edxconsole.services import base\nbase.Permit('p', 'h', 'u', verb, before)"),
        (permit_users, "async def f(m, p):\n    await m.act('lms', verb, permit=p, deadline=1)"),
        (
            command_runners,
            "async def f(self):\n    await self._port.transport(host).run(['reboot'], timeout=1)",
        ),
        (command_runners, "async def f(transport):\n    await transport.process(['sh'])"),
        (unguarded_rpc, "async def f(rpc):\n    await rpc.call('supervisor.stopProcess', 'lms')"),
    ],
)
def test_each_rule_catches_a_planted_violation(check: Callable[[ast.Module], list[int]], code: str) -> None:
    assert check(ast.parse(code))
