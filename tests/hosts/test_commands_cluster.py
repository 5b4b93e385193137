"""The commands on real hosts, run as an operator runs them; compared with what the hosts say."""

from __future__ import annotations

import json
import select
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.cluster import LabCluster
from tests.lab.console import Console
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.hosts, pytest.mark.root]


@pytest.fixture
def console(cluster: LabCluster, tmp_path: Path) -> Console:
    return Console(cluster.lab.hosts_yaml(cluster.inventory()), tmp_path)


def test_status_is_true_and_all_well(console: Console) -> None:
    body = console.json("status")
    assert {h["name"]: h["link"] for h in body["hosts"]} == dict.fromkeys(
        ("web", "app1", "app2", "data"), "live"
    )
    states = {(i["host"], i["component"]): i["state"] for i in body["instances"]}
    assert states["web", "nginx"] == states["app1", "lms"] == states["data", "mysql"] == "up"
    assert body["problems"] == []
    text = console.run("status")
    assert "4 of 4 hosts live" in text
    assert "all well" in text


def test_health_asks_what_costs_only_when_told(console: Console, cluster: LabCluster) -> None:
    body = console.json("health", "lms@app1")
    (beat,) = body["checks"]
    assert (beat["component"], beat["check"], beat["state"]) == ("lms", "heartbeat", "up")
    assert beat["text"].startswith("heartbeat: /heartbeat answers 200, modulestore, sql true")
    assert (beat["every_seconds"], beat["cost"]) == (8.0, "")
    beats = console.json("health", "lms@app1", "--extended")["checks"]
    assert [(b["check"], b["state"], b["every_seconds"]) for b in beats] == [
        ("heartbeat", "up", 8.0),
        ("extended heartbeat", "up", None),
    ]
    assert "holds an LMS worker up to 5 s" in beats[1]["cost"]
    through = cluster.web.sh("cat /edx/var/log/nginx/access.log")
    assert "extended" not in through, "it goes to gunicorn, not through nginx"
    text = console.run("health", "lms@app1", "--extended")
    assert "on demand" in text
    assert "cost: it queues a task" in text


def test_status_of_a_selector_looks_only_there(console: Console) -> None:
    body = console.json("status", "lms@app")
    assert [h["name"] for h in body["hosts"]] == ["app1", "app2"]
    assert {i["component"] for i in body["instances"]} == {"lms"}


def test_a_stopped_program_is_exit_status_1_until_it_is_back(console: Console, cluster: LabCluster) -> None:
    cluster.app2.sh("/edx/bin/supervisorctl stop cms")
    try:
        body = console.json("status", "@app2", status=1)
        assert [(p["host"], p["component"]) for p in body["problems"]] == [("app2", "cms")]
        assert "✗ down" in console.run("status", "cms@app2", status=1)
        assert "STOPPED" in console.run("supervisor", "cms@app2")
    finally:
        cluster.app2.sh("/edx/bin/supervisorctl start cms")
        cluster.wait_up(60)
    console.run("status", "@app2", status=0)


def test_ports_agree_with_ss(console: Console, cluster: LabCluster) -> None:
    body = console.json("ports", "@web")
    lines = cluster.web.sh("ss -tlnH").splitlines()
    assert {x["port"] for x in body["listeners"]} == {
        int(line.split()[3].rpartition(":")[2]) for line in lines
    }
    nginx = next(x for x in body["listeners"] if x["port"] == 80)
    assert (nginx["component"], nginx["how"], nginx["process"]) == ("nginx", "owner", "nginx")


def test_programs_agree_with_supervisorctl(console: Console, cluster: LabCluster) -> None:
    body = console.json("supervisor", "@app1")
    assert {p["name"]: p["word"] for p in body["programs"]} == cluster.programs(cluster.app1)
    (supervisord,) = body["supervisors"]
    assert set(supervisord["verbs"]) >= {"start", "stop", "restart"}
    assert supervisord["pid"] == int(cluster.app1.sh("/edx/bin/supervisorctl pid"))


def test_logs_show_what_is_there_and_what_comes(console: Console, cluster: LabCluster) -> None:
    path, mark = "/edx/var/log/lms/edx.log", f"commands-test-{time.time_ns()}"
    cluster.app1.sh(f"echo 'before {mark} \x1b]0;pwned\x07 amqp://u:hunter2@h/' >> {path}")
    said = console.run("logs", "lms@app1", "--grep", mark)
    assert f"before {mark}" in said
    assert "hunter2" not in said
    process = subprocess.Popen(
        [*console.argv, "logs", "-f", "-n", "0", "lms@app1", "--grep", mark, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=console.environment,
    )
    try:
        assert process.stdout is not None
        found = ""
        for number in range(60):
            cluster.app1.sh(f"echo 'after {mark} {number}' >> {path}")
            if select.select([process.stdout], [], [], 0.5)[0]:
                found = process.stdout.readline()
                break
        assert f"after {mark}" in json.loads(found)["line"]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_check_finds_nothing_out_of_reach(console: Console) -> None:
    body = console.json("check", status=None)
    for host in body["hosts"]:
        states = {f["check"]: f["state"] for f in host["findings"]}
        assert states["reach"] == states["python"] == states["sudo"] == "up", host
    app1 = next(h for h in body["hosts"] if h["name"] == "app1")
    assert any(f["check"] == "supervisord" and f["state"] == "up" for f in app1["findings"])
    assert body["exit_status"] in (0, 1)


def test_one_dead_host_does_not_hide_the_others(cluster: LabCluster, tmp_path: Path) -> None:
    inventory = cluster.inventory()
    dead = replace(inventory.hosts["app2"], port=9)
    changed = replace(inventory, hosts={**inventory.hosts, "app2": dead})
    console = Console(cluster.lab.hosts_yaml(changed), tmp_path)
    body = console.json("status", status=3)
    links = {h["name"]: h["link"] for h in body["hosts"]}
    assert links["app1"] == links["web"] == links["data"] == "live"
    assert links["app2"] == "backoff"
    assert not any(i["state"] == "up" for i in body["instances"] if i["host"] == "app2")
    text = console.run("check", "@app2", status=3)
    assert "refused the connection" in text
    assert "remedy: " in text


@pytest.fixture
def stranger(lab: Lab, tmp_path: Path) -> tuple[Console, LabHost]:
    """A host whose key nobody knows yet."""
    host = lab.host("stranger")
    nobody_known = tmp_path / "known_hosts"
    nobody_known.touch()
    inventory = lab.inventory([host], known_hosts=nobody_known)
    return Console(lab.hosts_yaml(inventory), tmp_path), host


def fingerprint(host: LabHost) -> str:
    words = host.sh("ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | ssh-keygen -lf -").split()
    return next(word for word in words if word.startswith("SHA256:"))


def test_an_unknown_key_is_refused_until_it_is_trusted(stranger: tuple[Console, LabHost]) -> None:
    console, host = stranger
    said = console.run("status", status=3)
    assert "run `edxconsole trust stranger`" in said
    assert fingerprint(host) in said
    assert "✗ host key" in console.run("check", status=3)
    wrong = console.run("trust", "stranger", "--fingerprint", "SHA256:" + "A" * 43, status=4)
    assert "is not known" in wrong
    console.run("status", status=3)
    console.run("trust", "stranger", "--fingerprint", fingerprint(host))
    assert "trusted already" in console.run("trust", "stranger")
    assert console.json("status")["hosts"][0]["link"] == "live"


@pytest.mark.parametrize(
    ("answer", "status", "words"), [("no", 4, "is not known"), ("yes", 0, "from now on")]
)
def test_trust_asks_on_a_terminal(
    stranger: tuple[Console, LabHost], answer: str, status: int, words: str
) -> None:
    console, host = stranger
    got, said = console.typed("trust", "stranger", answers={"[yes/no]": answer})
    assert fingerprint(host) in said
    assert words in said
    assert got == status


HOSTS = """\
defaults: {user: ops, become: sudo}
hosts: {limited: {address: 192.0.2.1}}
expect: {limited: [nginx, lms, supervisor]}
"""


def test_the_printed_sudo_rules_allow_what_is_run_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    """Asked of a real sudo on a real host by `sudo -n -l COMMAND`, which runs nothing."""
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    rules = Console(tmp_path / "hosts.yaml", tmp_path).run("sudoers")
    host = lab.host("limited", sudo=False, files={"/etc/sudoers.d/edxconsole": rules})
    socket = "/edx/var/supervisor/supervisor.sock"
    allowed = [
        "-u www-data -- /usr/bin/socat -d -d -t3600 - UNIX-CONNECT:" + socket,
        "-u www-data -- /bin/cat /edx/app/supervisor/supervisord.conf",
        "-u www-data kill -HUP 1234",
        "-u root -- /usr/sbin/nginx -t",
        "-u root -- systemctl reload nginx.service",
    ]
    refused = [
        "-u www-data -- /usr/bin/socat -d -d -t3600 - UNIX-CONNECT:/run/other.sock",
        "-u root -- /usr/bin/socat -d -d -t3600 - UNIX-CONNECT:" + socket,
        "-u www-data -- /bin/cat /edx/app/edxapp/lms.auth.json",
        "-u root kill -HUP 1",
        "-u root -- /usr/sbin/nginx -c /tmp/evil.conf",
        "-u root -- systemctl reload ssh.service",
        "-u root -- python3 -c pass",
        "-u root -- sh",
    ]
    got = {command: host.ssh(f"sudo -n -l {command}").returncode for command in [*allowed, *refused]}
    assert got == dict.fromkeys(allowed, 0) | dict.fromkeys(refused, 1), rules
