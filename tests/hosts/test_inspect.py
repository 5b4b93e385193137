"""Inspections of real services, compared with what is read by hand on their hosts."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.commands.sudorules import Rule, words
from edxconsole.inspect.reads import MYSQL, MYSQL_ACCOUNT, mysql_asks
from edxconsole.inspect.rights import rights_of
from edxconsole.inventory.model import Environment, Inventory
from tests.lab.cluster import ROLES, LabCluster
from tests.lab.console import Console
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.old import status
from tests.lab.watching import watching

pytestmark = [pytest.mark.hosts, pytest.mark.root]


@pytest.fixture
def console(full_cluster: LabCluster, tmp_path: Path) -> Console:
    return Console(full_cluster.lab.hosts_yaml(full_cluster.inventory()), tmp_path)


class Seen:
    """One inspection of a JSON document."""

    def __init__(self, body: dict[str, Any], component: str, host: str) -> None:
        (self.body,) = [i for i in body["inspections"] if (i["component"], i["host"]) == (component, host)]
        self.sections = {s["name"]: s for s in self.body["sections"]}

    def fact(self, section: str, name: str) -> Any:
        return self.sections[section]["facts"][name]["value"]

    def rows(self, section: str, table: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.sections[section]["tables"][table]["rows"]
        return rows


def look(console: Console, selector: str, component: str, host: str, status: int | None = 0) -> Seen:
    return Seen(console.json("inspect", selector, status=status), component, host)


def test_nginx(console: Console, full_cluster: LabCluster) -> None:
    web = full_cluster.web
    for _ in range(5):
        assert full_cluster.heartbeat()[0] == 200
    seen = look(console, "nginx@web", "nginx", "web")
    assert seen.body["missing"] == []
    assert seen.fact("processes", "master_pid") == int(web.sh("cat /run/nginx.pid"))
    assert seen.fact("workers", "expected") == 2 == seen.fact("processes", "workers")
    ports = {
        int(line.split()[3].rpartition(":")[2]) for line in web.sh("ss -tlnpH | grep nginx").splitlines()
    }
    servers = seen.rows("sites", "servers")
    assert {r["port"] for r in servers} == ports == {80, 18010, 18040, 18080, 18090}
    assert all(r["listening"] for r in servers)
    assert {r["port"]: r["passes_to"] for r in servers}[18010] == "cms-backend"
    members = {(r["upstream"], r["member"]): r["state"] for r in seen.rows("upstreams", "members")}
    assert len(members) == 6
    assert set(members.values()) == {"answers"}
    (mix,) = seen.rows("answers", "status_codes")
    lines = web.sh("cat /edx/var/log/nginx/access.log").splitlines()
    assert mix["lines"] + mix["other_lines"] == len(lines)
    assert mix["2xx_percent"] > 0


def test_a_member_that_is_gone_and_a_configuration_that_is_broken(
    console: Console, full_cluster: LabCluster
) -> None:
    full_cluster.app2.sh("/edx/bin/supervisorctl stop cms")
    full_cluster.web.sh("echo 'bogus on;' > /etc/nginx/sites-enabled/broken.tmp")
    try:
        seen = look(console, "nginx", "nginx", "web", status=1)
        assert seen.fact("check", "passes") is False
        assert "bogus" in seen.fact("check", "says")
        full_cluster.web.sh("rm /etc/nginx/sites-enabled/broken.tmp")
        seen = look(console, "nginx", "nginx", "web", status=1)
        states = {r["member"]: r["state"] for r in seen.rows("upstreams", "members")}
        assert (states["app1:8010"], states["app2:8010"]) == ("answers", "refuses")
        assert [f["text"] for f in seen.body["findings"]] == [
            "cms-backend: no answer from app2:8010 (refuses)"
        ]
    finally:
        full_cluster.web.sh("rm -f /etc/nginx/sites-enabled/broken.tmp")
        full_cluster.app2.sh("/edx/bin/supervisorctl start cms")
        full_cluster.wait_up(60)


def test_gunicorn(console: Console, full_cluster: LabCluster) -> None:
    body = console.json("inspect", "lms@app1", "cms@app1", "xqueue@app1")
    for component, workers, preload, port in (
        ("lms", 4, False, 8000),
        ("cms", 2, False, 8010),
        ("xqueue", 2, True, 8040),
    ):
        seen = Seen(body, component, "app1")
        master = int(full_cluster.app1.sh(f"/edx/bin/supervisorctl pid {component}"))
        children = {int(pid) for pid in full_cluster.app1.sh(f"pgrep -P {master}").split()}
        rows = seen.rows("processes", "processes")
        assert [r["pid"] for r in rows if r["role"] == "master"] == [master]
        assert {r["pid"] for r in rows if r["role"] == "worker"} == children
        assert (seen.fact("workers", "expected"), seen.fact("workers", "found")) == (workers, workers)
        assert seen.fact("settings", "preload_app") is preload
        assert (seen.fact("settings", "timeout"), seen.fact("settings", "bind")) == (300, f"0.0.0.0:{port}")
        assert isinstance(seen.fact("traffic", "open_connections"), int)
        # The lab's applications have no configuration of Open edX; test_edxapp_drift.py gives them one.
        assert {m["what"].partition(" /edx/app/edxapp/")[0] for m in seen.body["missing"]} <= {"settings of"}


@pytest.mark.parametrize(("host", "open_port"), [("app1", "127.0.0.1:9001"), ("app2", None)])
def test_supervisor(console: Console, full_cluster: LabCluster, host: str, open_port: str | None) -> None:
    there: LabHost = getattr(full_cluster, host)
    seen = look(console, f"supervisor@{host}", "supervisor", host, status=None)
    assert seen.fact("supervisord", "pid") == int(there.sh("/edx/bin/supervisorctl pid"))
    assert seen.fact("supervisord", "tcp_port") == open_port
    warned = any("has no password" in f["text"] for f in seen.body["findings"])
    assert warned is (open_port is not None)
    assert seen.fact("supervisord", "cve_2017_11610") is False
    programs = {r["program"]: r for r in seen.rows("programs", "programs")}
    assert {name: r["state"] for name, r in programs.items()} == full_cluster.programs(there)
    assert programs["lms"]["pid"] == int(there.sh("/edx/bin/supervisorctl pid lms"))
    settings = {r["program"]: r for r in seen.rows("settings", "settings")}
    worker = settings["edxapp_worker:lms_default_1"]
    assert (worker["stopwaitsecs"], worker["user"], worker["startretries"]) == (432000, "www-data", 3)
    assert worker["environment"] == "SERVICE_VARIANT, PYTHONDONTWRITEBYTECODE"
    assert (settings["lms"]["stopasgroup"], settings["lms"]["stopsignal"]) == (True, "TERM")
    assert (settings["lms"]["autorestart"], settings["xqueue_consumer"]["startsecs"]) == ("unexpected", 0)


def test_a_program_that_does_not_stay_up_is_seen_to_flap(console: Console, full_cluster: LabCluster) -> None:
    app = full_cluster.app1
    conf = "/edx/app/supervisor/conf.d/flapping.conf"
    app.sh(
        f"printf '[program:flapping]\\ncommand=/bin/sleep 0.2\\nstartsecs=0\\nautorestart=true\\n' > {conf}"
    )
    app.sh("/edx/bin/supervisorctl reread; /edx/bin/supervisorctl add flapping")
    try:
        app.sh(
            "for n in $(seq 50); do grep -c \"spawned: 'flapping'\" /edx/var/log/supervisor/supervisord.log"
            " | grep -q '^[4-9]' && break; sleep 0.2; done"
        )
        seen = look(console, "supervisor@app1", "supervisor", "app1", status=1)
        (row,) = [r for r in seen.rows("programs", "programs") if r["program"] == "flapping"]
        assert row["flapping"] is True
        assert row["starts_in_hour"] >= 3
        assert any(f["text"].startswith("flapping restarts again and again") for f in seen.body["findings"])
    finally:
        app.sh(f"/edx/bin/supervisorctl stop flapping; /edx/bin/supervisorctl remove flapping; rm {conf}")


def stats(host: LabHost) -> dict[str, str]:
    text = host.sh("printf 'stats\\r\\nquit\\r\\n' | socat - TCP:127.0.0.1:11211")
    return dict(re.findall(r"STAT (\S+) (\S+)\r", text))


@pytest.mark.needs("socat")
def test_memcached(console: Console, full_cluster: LabCluster) -> None:
    full_cluster.data.sh(
        "printf 'set k 0 60 2\\r\\nhi\\r\\nget k\\r\\nget none\\r\\nquit\\r\\n' | socat - TCP:127.0.0.1:11211"
    )
    before = stats(full_cluster.data)
    seen = look(console, "memcached", "memcached", "data")
    after = stats(full_cluster.data)
    assert (seen.fact("server", "version"), seen.fact("server", "pid")) == (
        before["version"],
        int(before["pid"]),
    )
    assert seen.fact("memory", "limit_bytes") == int(before["limit_maxbytes"])
    assert int(before["get_hits"]) <= seen.fact("hits", "get_hits") <= int(after["get_hits"])
    assert int(before["get_misses"]) <= seen.fact("hits", "get_misses") <= int(after["get_misses"])
    assert 0 < seen.fact("hits", "hit_percent") < 100
    assert seen.fact("memory", "evictions") == int(after["evictions"]) == 0


def test_redis_and_the_backlog_of_a_queue(console: Console, full_cluster: LabCluster) -> None:
    data = full_cluster.data
    data.sh("redis-cli rpush edx.lms.core.default a b c; redis-cli -n 2 set celery text")
    try:
        seen = look(console, "redis", "redis", "data")
        info = dict(line.split(":", 1) for line in data.sh("redis-cli info").splitlines() if ":" in line)
        assert seen.fact("server", "version") == info["redis_version"].strip()
        assert seen.fact("server", "pid") == int(info["process_id"])
        assert seen.fact("memory", "policy") == data.sh("redis-cli config get maxmemory-policy").split()[1]
        assert seen.fact("persistence", "rdb_save") == "ok"
        assert seen.rows("queues", "queues") == [
            {"database": 0, "queue": "edx.lms.core.default", "waiting": 3}
        ]
    finally:
        data.sh("redis-cli del edx.lms.core.default; redis-cli -n 2 del celery")


def test_redis_behind_a_password(console: Console, full_cluster: LabCluster) -> None:
    data = full_cluster.data
    data.sh("echo 'requirepass hunter2' >> /etc/redis/redis.conf; redis-cli config set requirepass hunter2")
    try:
        said = console.run("inspect", "redis", "--json")
        assert "hunter2" not in said
        seen = Seen(json.loads(said), "redis", "data")
        assert seen.body["missing"] == []
        assert seen.fact("clients", "connected") >= 1
    finally:
        data.sh(
            "redis-cli -a hunter2 config set requirepass ''; sed -i /^requirepass/d /etc/redis/redis.conf"
        )


def test_rabbitmq(console: Console, full_cluster: LabCluster) -> None:
    data = full_cluster.data
    seen = look(console, "rabbitmq", "rabbitmq", "data", status=None)
    assert seen.body["missing"] == []
    assert seen.fact("node", "version") == data.sh("rabbitmqctl version").strip()
    assert seen.fact("node", "alarms") == "none"
    assert 0 < seen.fact("memory", "used_bytes") < seen.fact("memory", "limit_bytes")
    listed = data.sh("rabbitmqctl -q list_queues name consumers --no-table-headers")
    consumers = {name: int(n) for name, n in (line.split("\t") for line in listed.splitlines())}
    assert {r["queue"]: r["consumers"] for r in seen.rows("queues", "queues")} == consumers
    assert consumers["edx.lms.core.default"] == 2
    assert seen.body["sections"][0]["facts"]["version"]["source"] == "rabbitmqctl status"
    listed = data.sh("rabbitmqctl -q list_connections user --no-table-headers")
    assert seen.fact("connections", "connections") == len(listed.splitlines()) >= 4


def test_rabbitmq_by_its_management_api_where_sudo_is_not_allowed(
    full_cluster: LabCluster, tmp_path: Path
) -> None:
    inventory = full_cluster.inventory()
    plain = replace(inventory.hosts["data"], become=None)
    changed = replace(inventory, hosts={**inventory.hosts, "data": plain})
    console = Console(full_cluster.lab.hosts_yaml(changed), tmp_path)
    said = console.run("inspect", "rabbitmq", "--json")
    seen = Seen(json.loads(said), "rabbitmq", "data")
    assert seen.body["sections"][0]["facts"]["version"]["source"] == "management API"
    assert seen.fact("node", "version") == full_cluster.data.sh("rabbitmqctl version").strip()
    assert {r["queue"]: r["consumers"] for r in seen.rows("queues", "queues")}["edx.lms.core.default"] == 2
    assert seen.fact("memory", "limit_bytes") > seen.fact("memory", "used_bytes") > 0


def test_mysql(console: Console, full_cluster: LabCluster) -> None:
    data = full_cluster.data
    data.sh("mysql -e 'CREATE DATABASE edxapp; CREATE TABLE edxapp.a (i INT); CREATE TABLE edxapp.b (i INT)'")
    data.sh("mysql -e 'CREATE DATABASE empty'")
    try:
        seen = look(console, "mysql", "mysql", "data")
        assert seen.body["missing"] == []
        assert seen.fact("server", "version") == data.sh("mysql -Nse 'select version()'").strip()
        most = int(data.sh("mysql -Nse 'select @@max_connections'"))
        assert seen.fact("connections", "limit") == most
        assert seen.fact("connections", "headroom") == most - seen.fact("connections", "connected")
        counted = data.sh(
            "mysql -Nse 'select table_schema, count(*), sum(data_length + index_length) "
            "from information_schema.tables group by table_schema'"
        )
        tables = {name: int(n) for name, n, _ in (line.split("\t") for line in counted.splitlines())}
        rows = {r["database"]: r for r in seen.rows("databases", "databases")}
        assert {name: r["tables"] for name, r in rows.items()} == tables | {"empty": 0}
        assert (rows["edxapp"]["tables"], rows["edxapp"]["size_bytes"], rows["edxapp"]["system"]) == (
            2,
            32768,
            False,
        )
        assert seen.fact("replication", "replica") is False
        assert seen.fact("slow_queries", "log_is_on") is False
    finally:
        data.sh("mysql -e 'DROP DATABASE edxapp; DROP DATABASE empty'")


def test_nothing_on_the_hosts_is_changed(console: Console, full_cluster: LabCluster) -> None:
    """Neither processes of the services nor their configuration and data files are others afterwards."""
    files = "find /etc /edx/app /edx/etc -xdev -newer /tmp/before -type f 2>/dev/null"
    before = {}
    for host in full_cluster.hosts:
        host.sh("touch /tmp/before; sleep 0.05")
        before[host.name] = services(host)
    console.run("inspect", "@all", status=None)
    for host in full_cluster.hosts:
        assert services(host) == before[host.name]
        assert host.sh(files, check=False).split() == []


def services(host: LabHost) -> list[str]:
    """pid and start of what runs for long there."""
    names = "nginx|gunicorn|celery|supervisord|memcached|redis-server|mysqld|mariadbd|beam"
    listed = host.sh(
        f"ps -eo pid=,lstart=,args= | grep -E '{names}' | grep -vE 'grep|rabbitmqctl|rabbitmq-env'"
    )
    return sorted(listed.splitlines())


def test_a_stand_in_of_mongodb_through_ssh(console: Console, full_cluster: LabCluster) -> None:
    """The lab's mongod is a stand-in: what it does not know is told as missing."""
    seen = look(console, "mongodb@data", "mongodb", "data", status=None)
    assert seen.fact("server", "version") == "4.0.0-stand-in"
    assert seen.fact("server", "pid") == int(full_cluster.data.sh("pgrep -x mongod"))
    assert [m["what"] for m in seen.body["missing"]] == ["databases"]


def test_a_stand_in_of_elasticsearch_through_ssh(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("search")
    host.sh(f"cp {ROLES}/elasticsearch.py /usr/local/bin/elasticsearch")
    host.sh(f"setsid -f {sys.prefix}/bin/python /usr/local/bin/elasticsearch 127.0.0.1 9200 >/dev/null 2>&1")
    host.sh("for n in $(seq 100); do ss -tlnH | grep -q :9200 && exit 0; sleep 0.2; done; exit 1")
    console = Console(lab.hosts_yaml(lab.inventory([host])), tmp_path)
    seen = look(console, "elasticsearch", "elasticsearch", "search", status=None)
    assert seen.fact("server", "version") == "7.10.2-stand-in"
    assert seen.fact("health", "status") == "yellow"
    told = [(m["what"], m["cause"].partition(" answers ")[2][:3]) for m in seen.body["missing"]]
    assert told == [(what, "404") for what in ("documents and sizes", "disks", "watermarks", "blocks")]


def test_text_is_fit_for_a_terminal(console: Console) -> None:
    said = console.run("inspect", "@all", status=None)
    for title in ("nginx@web", "lms@app1", "supervisor@app2", "rabbitmq@data", "mysql@data"):
        assert f"\n{title}\n" in f"\n{said}"
    assert "edx.lms.core.default" in said


def test_what_has_no_inspector_or_is_not_there_is_told(console: Console) -> None:
    console.run("inspect", "xqueue_consumer@app1", status=2)
    console.run("inspect", "nginx@app1", status=2)


def test_without_rights_it_is_told_what_is_missing(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("plain", sudo=False, services=("nginx",))
    host.sh("service nginx start")
    console = Console(lab.hosts_yaml(lab.inventory([host])), tmp_path)
    seen = look(console, "nginx", "nginx", "plain", status=None)
    (missing,) = seen.body["missing"]
    assert "/usr/sbin/nginx" in missing["cause"]
    assert "NOPASSWD: /usr/sbin/nginx -T" in missing["remedy"]
    assert seen.fact("processes", "workers") == int(host.sh("pgrep -c -f 'nginx: [w]orker'")) > 0


def test_the_printed_sudo_rules_allow_every_inspector(lab: Lab, tmp_path: Path) -> None:
    """Asked of a real sudo by `sudo -n -l COMMAND`, which runs nothing."""
    rights = [right for component in load_catalog().components.values() for right in rights_of(component)]
    rules = "".join(Rule(r.user, words(r.argv), "").line("ops") + "\n" for r in rights)
    host = lab.host("limited", sudo=False, files={"/etc/sudoers.d/edxconsole": rules})
    for right in rights:
        said = host.ssh(f"sudo -n -l -u {right.user} -- {shlex.join(right.argv)}")
        assert said.returncode == 0, (right, said)
    drop = mysql_asks((MYSQL_ACCOUNT,), "DROP DATABASE edxapp")
    refused = [
        "/usr/sbin/nginx -T -c /tmp/evil.conf",
        "/usr/sbin/rabbitmqctl stop",
        "/usr/bin/head -c 262145 -- /etc/shadow",
        shlex.join((MYSQL[0], *drop)),
    ]
    assert [host.ssh(f"sudo -n -l -u root -- {line}").returncode for line in refused] == [1] * len(refused)


async def test_an_old_supervisor_tells_its_settings_by_its_files(
    old_supervisor: LabHost, tmp_path: Path
) -> None:
    name = old_supervisor.name
    inventory = Inventory(environment=Environment.DEVELOPMENT, hosts={name: old_supervisor.inventory_host()})
    async with watching(inventory, tmp_path) as engine:
        seen = await engine.inspect(name, "supervisor")
    assert seen.missing == ()
    assert seen.section("supervisord").fact("cve_2017_11610") is True
    assert any("CVE-2017-11610" in f.text for f in seen.findings)
    settings = {r["program"]: r for r in seen.section("settings").table("settings").rows}
    programs = {r["program"]: r for r in seen.section("programs").table("programs").rows}
    assert set(settings) == set(programs) == set(status(old_supervisor))
    assert {r["exitcodes"] for r in settings.values()} == {"0,2"}
    assert all(r["command"] and r["stopsignal"] == "TERM" for r in settings.values())
