"""Discovery of real hosts from bare addresses, compared with what is known of them by hand."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edxconsole.inventory.loader import load_inventory
from tests.lab import truth
from tests.lab.cluster import LabCluster
from tests.lab.console import Console
from tests.lab.lab import Lab
from tests.lab.settings_files import FILES, SECRET, SETTINGS, put

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(180)]

RUNS = {
    "web": {"nginx"},
    "app1": {"lms", "cms", "edxapp_worker", "xqueue", "xqueue_consumer", "supervisor"},
    "app2": {"lms", "cms", "edxapp_worker", "xqueue", "supervisor"},
    "data": {"mysql", "mongodb", "memcached", "redis", "rabbitmq"},
}
"""what the lab's roles start; its stand-in for Elasticsearch is a Python, and no argv says what it does"""


@pytest.fixture
def console(full_cluster: LabCluster, tmp_path: Path) -> Console:
    """Hosts alone are told to it: no groups, nothing expected."""
    lab = full_cluster.lab
    return Console(lab.hosts_yaml(lab.inventory(full_cluster.hosts)), tmp_path)


@pytest.fixture
def configured(full_cluster: LabCluster) -> Iterator[LabCluster]:
    """The JSON files of LMS and Studio on both app hosts, as up to Ironwood; removed afterwards."""
    apps = (full_cluster.app1, full_cluster.app2)
    for path in FILES:
        for app in apps:
            put(app, path, SETTINGS)
    yield full_cluster
    for app in apps:
        app.sh(f"rm -f {' '.join(FILES)} /edx/etc/*.yml")


def host_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [h for h in body["hosts"] if h["name"] == name]
    return dict(found)


def edges_of(body: dict[str, Any], host: str) -> dict[str, str]:
    return {e["endpoint"]: e["verdict"] for e in body["edges"] if e["host"] == host}


def test_all_that_runs_is_found_and_nothing_else(console: Console, full_cluster: LabCluster) -> None:
    body = console.json("discover", status=0)
    assert {h["name"]: {r["component"] for r in h["running"]} for h in body["hosts"]} == RUNS
    for host in full_cluster.hosts:
        there = truth.processes(host)
        for running in host_of(body, host.name)["running"]:
            own = set(running["pids"]) & set(there)
            assert own, f"no pid of {running} is on {host.name}"
    assert host_of(body, "app1")["installs"][0]["kind"] == "classic"
    assert host_of(body, "app1")["installs"][0]["release"] == "Koa to Quince"
    assert edges_of(body, "web") == {
        f"{app}:{port}": "runs" for app in ("app1", "app2") for port in (8000, 8010, 8040)
    }
    lasting = {r["component"]: r["lasting"] for r in host_of(body, "app1")["running"]}
    assert lasting.pop("xqueue_consumer") is False
    assert all(lasting.values())


def test_the_files_in_force_agree_with_what_runs(console: Console, configured: LabCluster) -> None:
    put(configured.app1, "/edx/etc/lms.yml", {"DATABASES": {"default": {"HOST": "elsewhere"}}})
    body = console.json("discover", status=1)
    assert edges_of(body, "app1") == {
        "data:3306": "runs", "data:11211": "runs", "data:5672": "runs", "data:27017": "runs",
        "web:18040": "runs",
    }  # fmt: skip
    assert {e["target"] for e in body["edges"] if e["host"] == "app1"} == {"data", "web"}
    configs = {c["path"]: c for c in host_of(body, "app1")["configs"]}
    assert configs["/edx/app/edxapp/lms.env.json"]["in_force"] is True
    assert configs["/edx/app/edxapp/lms.env.json"]["why"].startswith("no LMS_CFG in the environment of pid")
    assert configs["/edx/etc/lms.yml"]["in_force"] is False
    assert configs["/edx/etc/lms.yml"]["why"].startswith("a stale copy: in force is /edx/app/edxapp/lms.env")
    assert body["disagreements"] == ["Redis runs on data and no configuration names it."]
    assert body["exit_status"] == 1
    for shown in (console.run("discover", status=1), json.dumps(body)):
        assert SECRET not in shown


def test_where_files_and_what_runs_disagree_one_sentence_says_so(
    console: Console, configured: LabCluster
) -> None:
    wrong = json.loads(json.dumps(SETTINGS))
    wrong["CACHES"]["default"]["LOCATION"] = ["data:11212"]
    wrong["ELASTIC_SEARCH_CONFIG"] = [{"host": "no-such-host", "port": 9200}]
    wrong["COMMENTS_SERVICE_URL"] = "http://localhost:18080"
    put(configured.app1, "/edx/app/edxapp/lms.env.json", wrong)
    site = "/etc/nginx/sites-enabled/extra"
    configured.app1.sh("sed -i.was 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf")
    configured.web.sh(f"echo 'upstream lms-backend-old {{ server 10.99.9.9:8000; }}' >{site}")
    try:
        body = console.json("discover", status=1)
    finally:
        configured.web.sh(f"rm -f {site}")
        configured.app1.sh("mv /etc/nsswitch.conf.was /etc/nsswitch.conf")
    names = "app1: /edx/app/edxapp/lms.env.json names"
    assert set(body["disagreements"]) == {
        f"{names} memcached data:11212; nothing of memcached listens there on data.",
        f"{names} Elasticsearch no-such-host:9200; app1 can't resolve that name.",
        f"web: {site} names 10.99.9.9:8000 in upstream lms-backend-old; no host of this cluster is that.",
        "Redis runs on data and no configuration names it.",
    }
    assert (
        "app1: its files name what was seen nowhere and may never have been installed: Forum."
        in body["unknowns"]
    )


BROKEN = {
    "lms.env.json": ('{"SECRET_KEY": "' + SECRET + '", ', "is not JSON from line 1 on"),
    "lms.auth.json": ('{"a": "' + SECRET + '", "a": 1}', "gives a key twice, again on line 1"),
    "cms.env.json": ("[1, 2]", "holds no mapping of settings"),
}


def test_bad_files_are_one_sentence_each_and_delay_nothing(console: Console, configured: LabCluster) -> None:
    app = configured.app1
    for name, (text, _) in BROKEN.items():
        put(app, f"/edx/app/edxapp/{name}", text)
    app.sh("head -c 50M /dev/zero | tr '\\0' x >/edx/app/edxapp/cms.auth.json")
    app.sh("head -c 5000 /dev/zero >/edx/etc/xqueue.yml; mkfifo -m 644 /edx/app/forum_env")
    app.sh("mkdir -p /edx/app/forum && mv /edx/app/forum_env /edx/app/forum/forum_env")
    try:
        body = console.json("discover", status=0)
        found = host_of(body, "app1")
        assert {r["component"] for r in found["running"]} == RUNS["app1"]
        causes = {m["what"]: m["cause"] for m in found["missing"]}
        for name, (_, sentence) in BROKEN.items():
            assert causes[f"/edx/app/edxapp/{name}"] == f"/edx/app/edxapp/{name} {sentence}"
        assert "is larger than" in causes["/edx/app/edxapp/cms.auth.json"]
        assert causes["/edx/etc/xqueue.yml"] == "/edx/etc/xqueue.yml is binary"
        assert len([u for u in body["unknowns"] if "lms.env.json" in u]) == 1
        assert SECRET not in json.dumps(body)
        assert host_of(body, "data")["missing"] == []
    finally:
        app.sh("rm -rf /edx/app/forum /edx/etc/xqueue.yml")


def init(console: Console, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*console.argv, "init", *arguments],
        capture_output=True, text=True, timeout=120, check=False, env=console.environment,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


@pytest.fixture
def addresses(console: Console, full_cluster: LabCluster, tmp_path: Path) -> list[str]:
    """The hosts as an operator names them who has a key and trusts theirs, and nothing else."""
    lab, home = full_cluster.lab, tmp_path / "home"
    state = Path(console.environment["XDG_STATE_HOME"], "edxconsole")
    for path, source in ((home / ".ssh/id_ed25519", lab.key), (state / "known_hosts", lab.known_hosts)):
        path.parent.mkdir(parents=True, mode=0o700)
        path.write_bytes(source.read_bytes())
        path.chmod(0o600)
    console.environment["HOME"] = str(home)
    return [f"{host.name}={host.user}@{host.address}:{host.port}" for host in full_cluster.hosts]


def test_bare_addresses_are_enough(console: Console, full_cluster: LabCluster, addresses: list[str]) -> None:
    del console.environment["EDXCONSOLE_HOSTS"]
    words = [word for address in addresses for word in ("--at", address)]
    body = console.json("discover", "--sudo", *words, status=0)
    assert {h["name"]: {r["component"] for r in h["running"]} for h in body["hosts"]} == RUNS
    assert body["cluster"] == "cluster"


def test_init_writes_what_status_then_finds_complete(
    console: Console, configured: LabCluster, addresses: list[str], tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts.yaml"
    names = {"LMS_BASE": "courses.example.org", "CMS_BASE": "studio.example.org:443"}
    put(configured.app1, "/edx/app/edxapp/lms.env.json", SETTINGS | names)
    done = init(console, *addresses, "--sudo", "-o", str(hosts))
    assert done.returncode == 0, done.stdout + done.stderr
    written = hosts.read_text()
    assert SECRET not in written
    assert "# classic Open edX, Koa to Quince" in written
    inventory = load_inventory(hosts)
    assert inventory.sites == ("courses.example.org", "studio.example.org")
    assert inventory.groups == {"app": ("app1", "app2")}, "the others would be called as their one host"
    for name, runs in RUNS.items():
        assert inventory.expected_on(name) == runs - {"xqueue_consumer"}
    console.environment["EDXCONSOLE_HOSTS"] = str(hosts)
    body = console.json("status", status=None)
    assert [i for i in body["instances"] if i["state"] in ("absent", "down")] == []
    assert {i["component"] for i in body["instances"] if i["expected"]} == set().union(*RUNS.values()) - {
        "xqueue_consumer"
    }
    configured.data.sh("service memcached stop")
    try:
        body = console.json("status", "memcached", status=1)
        (missed,) = body["instances"]
        assert (missed["host"], missed["expected"]) == ("data", True)
        assert missed["state"] in ("absent", "down")
    finally:
        configured.data.sh("service memcached start")


def test_a_host_that_is_not_reached_is_written_without_expectations(
    console: Console, full_cluster: LabCluster, addresses: list[str], tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts.yaml"
    (data,) = [a for a in addresses if a.startswith("data=")]
    done = init(console, data, "gone=ops@127.0.0.1:9", "-o", str(hosts))
    assert done.returncode == 3
    assert "gone" in done.stderr
    inventory = load_inventory(hosts)
    assert inventory.expected_on("gone") == frozenset()
    assert inventory.expected_on("data") == RUNS["data"], "without sudo what runs is found all the same"
    text = hosts.read_text()
    assert "  # not reached, so nothing is expected: " in text


def test_what_may_not_be_read_is_said_with_its_remedy_and_nothing_is_taken_for_missing(
    configured: LabCluster, tmp_path: Path
) -> None:
    lab = configured.lab
    hosts = lab.hosts_yaml(lab.inventory(configured.hosts, become=None))
    body = Console(hosts, tmp_path).json("discover", status=0)
    assert {h["name"]: {r["component"] for r in h["running"]} for h in body["hosts"]} == RUNS
    missing = {m["what"]: m for m in host_of(body, "app1")["missing"]}
    unread = missing["/edx/app/edxapp/lms.env.json"]
    assert "ops may not read" in unread["cause"]
    assert "become: sudo" in unread["remedy"]
    assert edges_of(body, "web")["app1:8000"] == "runs", "nginx's sites may be read by all"
    assert body["disagreements"] == []
    assert any("Whether a configuration names MySQL" in u for u in body["unknowns"])


def test_a_process_that_was_started_with_lms_cfg_reads_that_file(lab: Lab, tmp_path: Path) -> None:
    app = lab.host("app1")
    venv = "/edx/app/edxapp/venvs/edxapp/bin"
    put(app, f"{venv}/gunicorn", "import time\ntime.sleep(1000)\n", mode="644")
    put(app, "/edx/etc/lms.yml", SETTINGS)
    for path in FILES:
        put(app, path, SETTINGS)
    app.spawn(
        "env LMS_CFG=/edx/etc/lms.yml setpriv --reuid=www-data --regid=www-data --clear-groups "
        f"python3 {venv}/gunicorn -c /edx/app/edxapp/lms_gunicorn.py lms.wsgi"
    )
    body = until_lms(Console(lab.hosts_yaml(), tmp_path))
    configs = {c["path"]: c for c in body["hosts"][0]["configs"]}
    assert configs["/edx/etc/lms.yml"]["in_force"] is True
    assert configs["/edx/etc/lms.yml"]["why"].startswith("LMS_CFG in the environment of pid"), configs
    assert configs["/edx/app/edxapp/lms.env.json"]["in_force"] is False
    assert {e["target"] for e in body["edges"]} == {None}, "there is no other host"
    assert SECRET not in json.dumps(body)


def until_lms(console: Console) -> dict[str, Any]:
    """A discovery that saw the process; it may still be starting."""
    deadline = time.monotonic() + 60
    while True:
        body = console.json("discover", status=None)
        seen = any(r["component"] == "lms" for r in body["hosts"][0]["running"])
        assert seen or time.monotonic() < deadline, "no process of lms was seen within 60 s"
        if seen:
            return body
