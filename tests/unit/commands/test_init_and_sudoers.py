"""`init` writes what the loader reads; `sudoers` prints what visudo accepts and no more than is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from edxconsole.catalog.loader import load_catalog
from edxconsole.commands.init import init
from edxconsole.commands.sudoers import sudoers
from edxconsole.commands.sudorules import rules_for
from edxconsole.errors import InventoryError, UsageError
from edxconsole.inventory.loader import load_inventory


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def run_init(*arguments: str) -> str:
    result = CliRunner().invoke(init, ["--no-discover", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_init_from_named_hosts(tmp_path: Path) -> None:
    said = run_init("web1=192.0.2.11", "app1=ops@192.0.2.21:2222", "bastion", "v6=[2001:db8::1]:22")
    assert "wrote hosts.yaml: 4 hosts" in said
    hosts = load_inventory(tmp_path / "hosts.yaml").hosts
    assert (hosts["app1"].address, hosts["app1"].port, hosts["app1"].user) == ("192.0.2.21", 2222, "ops")
    assert hosts["bastion"].address is None
    assert hosts["v6"].address == "2001:db8::1"


def test_init_from_ssh_config(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host web1 app1\nHost *\n")
    run_init("--environment", "staging", "--cluster", "campus: east")
    inventory = load_inventory(tmp_path / "hosts.yaml")
    assert list(inventory.hosts) == ["web1", "app1"]
    assert (inventory.cluster, inventory.environment.value) == ("campus: east", "staging")


def test_init_never_overwrites_unasked(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("precious")
    with pytest.raises(UsageError, match=r"hosts\.yaml exists; use --force"):
        run_init("a")
    assert (tmp_path / "hosts.yaml").read_text() == "precious"
    run_init("--force", "a")
    assert list(load_inventory(tmp_path / "hosts.yaml").hosts) == ["a"]


def test_init_without_any_host_says_how() -> None:
    with pytest.raises(InventoryError, match=r"~/.ssh/config names no hosts; name them: `edxconsole init"):
        run_init()


@pytest.mark.parametrize("spec", ["-x", "a b", "u@-h", "n=u@h:99999999", "a\x1b", "=h", "u@", "$(id)=h"])
def test_init_refuses_odd_hosts(spec: str) -> None:
    with pytest.raises((UsageError, InventoryError)):
        run_init("--", spec)


HOSTS = """\
defaults: {user: ops, become: sudo}
hosts:
  web1: {address: 192.0.2.1}
  app1: {address: 192.0.2.2, user: deploy}
  root1: {address: 192.0.2.3, user: root}
expect: {web1: [nginx], app1: [lms, supervisor]}
"""


def run_sudoers(tmp_path: Path, *arguments: str) -> str:
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    result = CliRunner().invoke(sudoers, list(arguments), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.skipif(shutil.which("visudo") is None, reason="left out: no visudo (apt install sudo)")
@pytest.mark.parametrize("uncommented", [False, True])
def test_visudo_accepts_every_rule(tmp_path: Path, uncommented: bool) -> None:
    text = run_sudoers(tmp_path)
    if uncommented:
        text = text.replace("# ops ALL", "ops ALL").replace("# deploy ALL", "deploy ALL")
    path = tmp_path / "sudoers"
    path.write_text(text)
    done = subprocess.run(["visudo", "-cf", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + text


def test_rules_are_for_what_runs_there_and_who_logs_in(tmp_path: Path) -> None:
    body = json.loads(run_sudoers(tmp_path, "--json"))
    logins = {entry["login"]: entry for entry in body["logins"]}
    assert set(logins) == {"ops", "deploy"}, "root needs no rules"
    ops = "\n".join(rule["line"] for rule in logins["ops"]["rules"])
    deploy = "\n".join(rule["line"] for rule in logins["deploy"]["rules"])
    assert "systemctl reload nginx.service" in ops
    assert "supervisor.sock" not in ops
    assert "nginx" not in deploy
    assert "supervisor.sock" in deploy


def test_what_equals_root_is_never_active_by_itself(tmp_path: Path) -> None:
    inventory = load_inventory(_written(tmp_path))
    for rule in rules_for(inventory, load_catalog(), list(inventory.hosts)):
        words = rule.command.split()
        if "python3" in rule.command or words == ["ALL"]:
            assert rule.optional
            assert "equals root" in rule.why
        if rule.user == "root" and not rule.optional:
            assert "*" not in rule.command, "a wildcard as root could be anything"


def test_read_only_rules_change_nothing(tmp_path: Path) -> None:
    text = run_sudoers(tmp_path, "--read-only")
    for word in ("systemctl", "kill", " start", " stop", " restart", " reload"):
        assert word not in text
    assert "ops ALL=(root) NOPASSWD: /usr/sbin/service nginx status\n" in text


def _written(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(HOSTS)
    return path
