"""hosts.yaml: what is read, and that every mistake is told with file, line, key, found, expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edxconsole.errors import InventoryError
from edxconsole.inventory.loader import find_inventory, load_inventory
from edxconsole.inventory.model import Environment

COMPONENTS = ("lms", "cms", "nginx", "edxapp_worker")

GOOD = """\
cluster: campus
environment: staging
defaults: {user: ops, become: sudo, jump: bastion}
hosts:
  bastion: {address: 198.51.100.7}
  web1: {address: 192.0.2.11}
  app1: {address: "2001:db8::21", port: 2222, user: "on", identity_file: keys/campus}
  app2:
  here: {transport: local}
groups:
  app: [app*]
  front: [web1]
expect:
  app: [lms, edxapp_worker]
  app1: [cms]
sites: [courses.example.org, Studio.Example.org]
catalog: ./components
"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mistakes(tmp_path: Path, text: str | bytes) -> list[str]:
    """The lines of the error, without the path."""
    path = write(tmp_path, text)
    with pytest.raises(InventoryError) as caught:
        load_inventory(path, COMPONENTS)
    return [line.removeprefix(str(path)) for line in caught.value.cause.splitlines()]


def test_a_whole_file(tmp_path: Path) -> None:
    inventory = load_inventory(write(tmp_path, GOOD), COMPONENTS)
    assert (inventory.cluster, inventory.environment) == ("campus", Environment.STAGING)
    assert list(inventory.hosts) == ["bastion", "web1", "app1", "app2", "here"]
    app1 = inventory.hosts["app1"]
    assert (app1.address, app1.port, app1.user, app1.jump) == ("2001:db8::21", 2222, "on", "bastion")
    assert app1.identity_file == tmp_path / "keys/campus"
    assert inventory.hosts["bastion"].jump is None, "the default jump host does not jump through itself"
    here = inventory.hosts["here"]
    assert (here.transport, here.user, here.jump, here.become) == ("local", None, None, "sudo")
    assert inventory.groups == {"app": ("app1", "app2"), "front": ("web1",)}
    assert inventory.expected_on("app1") == {"lms", "edxapp_worker", "cms"}
    assert inventory.sites == ("courses.example.org", "studio.example.org")
    assert inventory.catalog == tmp_path / "components"


def test_production_unless_said_otherwise(tmp_path: Path) -> None:
    inventory = load_inventory(write(tmp_path, "hosts: {a: }\n"))
    assert inventory.environment is Environment.PRODUCTION


@pytest.mark.parametrize("word", ["no", "on", "010", "22:22", "1e3", "0x10", "2024-01-01"])
def test_words_that_yaml_1_1_takes_for_something_else(tmp_path: Path, word: str) -> None:
    inventory = load_inventory(write(tmp_path, f"cluster: {word}\nhosts:\n  {word.replace(':', '_')}:\n"))
    assert inventory.cluster == word
    assert list(inventory.hosts) == [word.replace(":", "_")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hosts:\n  a: {adress: 1.2.3.4}\n", ":2: hosts.a.adress: unknown key; did you mean 'address'?"),
        ("hosts:\n  a: {port: ssh}\n", ":2: hosts.a.port: found 'ssh', expected a whole number"),
        (
            "hosts:\n  a: {port: 70000}\n",
            ":2: hosts.a.port: found the number 70000, expected at most 65535",
        ),
        ("host: {a: }\n", ":1: host: unknown key; did you mean 'hosts'?"),
        ("cluster: x\n", ":1: the key 'hosts' is missing"),
        ("hosts: [a, b]\n", ":1: hosts: found a list, expected a mapping of key: value"),
        ("hosts:\n  a:\n  b:\n  a:\n", ":4: hosts.a: is given twice (first on line 2)"),
        (
            "hosts:\n  a: {transport: ssh}\n",
            ":2: hosts.a.transport: found 'ssh', expected 'asyncssh', 'paramiko' or 'local'",
        ),
        ("cluster: 5\nhosts: {a: }\n", ":1: cluster: found the number 5, expected text (put it in quotes)"),
        (
            "hosts: {a: }\ngroups: {app: [a, ap2]}\n",
            ":2: groups.app[2]: no host is called 'ap2'; known: a",
        ),
        (
            "hosts: {a: }\nexpect:\n  a: [lsm]\n",
            ":3: expect.a[1]: the catalog has no component 'lsm'; did you mean 'lms'?",
        ),
        ("hosts: {app1: }\nexpect: {ap: [lms]}\n", ":2: expect.ap: no host or group is called 'ap'"),
        (
            "hosts:\n  a: {address: ops@h}\n",
            ":2: hosts.a.address: found 'ops@h', expected an address; the user goes into user:",
        ),
        (
            "hosts:\n  a: {address: 'h:22'}\n",
            ":2: hosts.a.address: found 'h:22', expected an address; the port goes into port:",
        ),
        ("hosts:\n  a: {address: -oProxyCommand=x}\n", ":2: hosts.a.address: found '-oProxyCommand=x'"),
        ("hosts:\n  a: {user: -x}\n", ":2: hosts.a.user: found '-x', expected a login name"),
        ("hosts:\n  a: {jump: 'b;c'}\n", ":2: hosts.a.jump: found 'b;c'"),
        ("hosts:\n  -a:\n", ":2: hosts.-a: found '-a', expected a name of letters"),
        ("hosts:\n  a: {jump: a}\n", ":2: hosts.a.jump: a host can't be its own jump host"),
        (
            "hosts:\n  a: {jump: b}\n  b: {jump: a}\n",
            ":2: hosts.a.jump: jump hosts go round in a circle: a -> b -> a",
        ),
        (
            "hosts:\n  a: {transport: local, address: h}\n",
            ":2: hosts.a.address: a local host has no address; remove it",
        ),
        (
            "hosts: {a: }\nsites:\n  - courses.example.org\n  - https://studio.example.org/\n",
            ":4: sites[2]: found 'https://studio.example.org/', expected the host name of a site, such as ",
        ),
        ("hosts: {a: }\nsites: ['*.example.org']\n", ":2: sites[1]: found '*.example.org', expected the"),
        ("hosts: {a: }\nsites: [192.0.2.1]\n", ":2: sites[1]: found '192.0.2.1', expected the host name"),
        ("hosts: {a: }\nsites: ['c.example:443']\n", ":2: sites[1]: found 'c.example:443', expected the"),
        ("hosts: {a: }\nsites: [c_.example]\n", ":2: sites[1]: found 'c_.example', expected the host"),
        (f"hosts: {{a: }}\nsites: [{'a.' * 127}a]\n", ":2: sites[1]: found 'a.a.a."),
        ("hosts: {a: }\nsites: courses.example.org\n", ":2: sites: found 'courses.example.org', expected"),
        ("hosts: {a: }\nsites: {a.example: }\n", ":2: sites: found a mapping, expected a list"),
        (
            "hosts: {a: }\nsites: [b.example, a.example, B.example]\n",
            ":2: sites[3]: 'B.example' is named twice; remove one",
        ),
        ("hosts: {a: }\nsites: [a, b, c, d, e, f, g, h, i]\n", ":2: sites: "),
        ("hosts: {all: }\n", ":1: hosts.all: a host can't be called 'all'"),
        (
            "hosts: {a: , b: }\ngroups: {a: [a, b], b: [b]}\n",
            ":2: groups.a: a group can't be called 'a', that is a host",
        ),
        ('hosts:\n  "a\\e[31m":\n', ":2: hosts: the key 'a\\x1b[31m' holds control characters"),
        ('cluster: "a\\u202e"\nhosts: {a: }\n', ":1: cluster: holds control or invisible characters"),
        ("hosts:\n\ta: b\n", ":2: is not YAML here"),
        ("a: [\n", ": is not YAML here"),
        ("", ": is empty"),
        ("hosts: !!python/object:os.system {}\n", ":1: hosts: the tag"),
        ("hosts:\n  a: &x {port: 1}\n  b: {<<: *x}\n", ":3: hosts.b: merge keys (<<) are not supported"),
        (b"hosts: {a: }\n\xff\n", ": is not UTF-8 text (byte 13)"),
        ("hosts: {a: }\n---\nhosts: {b: }\n", ":2: is not YAML here"),
        ("[" * 5000, ":1: is nested deeper than 24 levels"),
        ("hosts: &h\n  a: *h\n", "its aliases"),
        ("a: " + "x" * (1 << 20), ": is larger than 1024 KiB"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert any(expected in line for line in mistakes(tmp_path, text)), mistakes(tmp_path, text)


def test_all_mistakes_of_a_file_are_told_in_line_order(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "environment: prod\nhosts:\n  a: {port: x}\n  b: {usr: y, port: 0}\n")
    assert [line.split(":")[1] for line in said] == ["1", "3", "4", "4"]


def test_many_mistakes_are_counted_not_poured_out(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "hosts:\n" + "".join(f"  h{i}: {{bad: 1}}\n" for i in range(100)))
    assert len(said) == 26
    assert said[-1] == ": and 75 more mistakes"


def test_billion_laughs_is_refused_quickly(tmp_path: Path) -> None:
    text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
    )
    assert "through its aliases" in "".join(mistakes(tmp_path, text))


def test_an_unknown_secret_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in "".join(mistakes(tmp_path, "hosts:\n  a: {password: hunter2}\n"))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hosts.yaml")
    with pytest.raises(InventoryError, match="is not a regular file"):
        load_inventory(tmp_path / "hosts.yaml")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="is not a regular file"):
        load_inventory(tmp_path)


def test_where_the_inventory_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config" / "edxconsole"
    config.mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("EDXCONSOLE_HOSTS", raising=False)
    with pytest.raises(InventoryError, match=r"no inventory: neither ./hosts.yaml nor .*edxconsole init"):
        find_inventory()
    (config / "hosts.yaml").write_text(GOOD)
    assert find_inventory() == config / "hosts.yaml"
    (work / "hosts.yaml").write_text(GOOD)
    assert find_inventory() == Path("hosts.yaml")
    named = write(tmp_path, GOOD)
    monkeypatch.setenv("EDXCONSOLE_HOSTS", str(named))
    assert find_inventory() == named
    assert find_inventory(config / "hosts.yaml") == config / "hosts.yaml"
    monkeypatch.setenv("EDXCONSOLE_HOSTS", str(tmp_path / "gone"))
    with pytest.raises(InventoryError, match=r"EDXCONSOLE_HOSTS names .*gone, which does not exist"):
        find_inventory()
