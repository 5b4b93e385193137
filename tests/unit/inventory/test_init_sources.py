"""What `init` reads: ~/.ssh/config aliases, Ansible inventories; and what it writes is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import InventoryError
from edxconsole.inventory.ansible import expand, read_ansible
from edxconsole.inventory.loader import load_inventory
from edxconsole.inventory.sshconfig import ssh_aliases
from edxconsole.inventory.writer import render_hosts


def test_ssh_aliases_are_concrete_and_follow_include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ssh = tmp_path / ".ssh"
    (ssh / "conf.d").mkdir(parents=True)
    (ssh / "config").write_text(
        "# campus\nInclude conf.d/*.conf config\nHost web1 *.example.org !web9\n  HostName 192.0.2.1\n"
        'Host = "app1" app2 # two\nMatch host x\n  User y\nHOST data1\nHost bad;name -x\n'
    )
    (ssh / "conf.d" / "a.conf").write_text("Host bastion\n")
    assert ssh_aliases() == ("bastion", "web1", "app1", "app2", "data1")


def test_no_ssh_config_is_no_aliases(tmp_path: Path) -> None:
    assert ssh_aliases(tmp_path / "none") == ()


INI = """\
; campus
lone ansible_host=192.0.2.9
[web]
web1 ansible_host=192.0.2.11 ansible_user=ops ansible_password=hunter2
[app]
app[01:03].example.org ansible_port=2222 ansible_ssh_common_args='-o ProxyJump=ops@bastion:22'
[edx:children]
web
app
[app:vars]
ansible_become_pass=hunter2
[here]
localhost ansible_connection=local
bad;name
"""


def test_ansible_ini(tmp_path: Path) -> None:
    path = tmp_path / "inventory"
    path.write_text(INI)
    found = read_ansible(path)
    assert found.hosts["web1"] == {"address": "192.0.2.11", "user": "ops"}
    assert found.hosts["app02.example.org"] == {"port": 2222, "jump": "bastion"}
    assert found.hosts["localhost"] == {"transport": "local"}
    assert found.groups["edx"] == ["web1", *(f"app0{n}.example.org" for n in (1, 2, 3))]
    assert found.skipped == ["bad;name"]
    assert "hunter2" not in repr(found)


def test_ansible_yaml(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(
        "all:\n  hosts:\n    mail: {ansible_host: '{{ secret }}'}\n  children:\n    web:\n      hosts:\n"
        "        web1: {ansible_host: 192.0.2.1, ansible_ssh_pass: hunter2}\n        web2:\n"
    )
    found = read_ansible(path)
    assert found.hosts == {"mail": {}, "web1": {"address": "192.0.2.1"}, "web2": {}}
    assert found.groups == {"web": ["web1", "web2"]}


def test_ansible_without_hosts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inventory"
    path.write_text("[web]\n")
    with pytest.raises(InventoryError, match="no hosts were found in it"):
        read_ansible(path)


def test_ranges() -> None:
    assert expand("db-[a:c]") == ["db-a", "db-b", "db-c"]
    assert expand("w[1:5:2]") == ["w1", "w3", "w5"]
    assert len(expand("w[1:999999999]")) <= 2000
    assert expand("plain") == ["plain"]


NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True).filter(lambda n: n != "all")


@given(
    hosts=st.dictionaries(
        NAMES,
        st.fixed_dictionaries(
            {}, optional={"address": NAMES, "user": NAMES, "port": st.integers(min_value=1, max_value=65535)}
        ),
        min_size=1,
        max_size=5,
    ),
    cluster=st.from_regex(r"[ -~]{1,30}", fullmatch=True).filter(lambda t: bool(t.strip())),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, hosts: dict[str, dict[str, object]], cluster: str
) -> None:
    path = tmp_path_factory.mktemp("write") / "hosts.yaml"
    path.write_text(
        render_hosts(
            hosts, cluster=cluster, groups={"grp-0-": list(hosts)[:1]} if "grp-0-" not in hosts else None
        )
    )
    inventory = load_inventory(path)
    assert inventory.cluster == cluster
    read = {
        n: {key: v for key in ("address", "user", "port") if (v := getattr(h, key)) is not None}
        for n, h in inventory.hosts.items()
    }
    assert read == hosts
