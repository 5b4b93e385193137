"""Inspections of a real Celery worker at a real Redis and a real RabbitMQ."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.console import Console
from tests.lab.fixtures import require
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(240)]

ROLE = Path(__file__).parents[1] / "lab" / "roles" / "celery.sh"
PASSWORD = "hunter2/@:x"
PERSONAL = 86399.125
"""the argument of every task: nothing may show it"""
QUEUE = "edx.lms.core.default"
BROKERS = {
    "redis": ("redis://:hunter2%2F%40%3Ax@127.0.0.1:6379/3", "redis", "127.0.0.1:6379", "3", ""),
    "amqp": ("amqp://celery:hunter2%2F%40%3Ax@127.0.0.1:5672/edx", "amqp", "127.0.0.1", "edx", "celery"),
}
OF_EDXAPP = ("settings of ", "configuration", "its files", "which files")
SEND = f"""
import sys
from lms.celery import calculate_grades_csv as task
for _ in range(int(sys.argv[1])):
    task.apply_async(({PERSONAL},), queue={QUEUE!r}, retry=False)
"""


@pytest.fixture(scope="module", params=sorted(BROKERS))
def worker(request: pytest.FixtureRequest, module_lab: Lab) -> Iterator[LabHost]:
    """A host whose only worker takes from one queue, one task at a time, and holds four more."""
    kind = str(request.param)
    server = {"redis": "redis-server", "amqp": "rabbitmq-server"}[kind]
    require("root", server)
    url, transport, hostname, vhost, user = BROKERS[kind]
    settings = {
        "CELERY_BROKER_TRANSPORT": transport,
        "CELERY_BROKER_HOSTNAME": hostname,
        "CELERY_BROKER_VHOST": vhost,
        "CELERY_BROKER_USER": user,
        "CELERY_BROKER_PASSWORD": PASSWORD,
        "SECRET_KEY": "hunter3",
    }
    environment = {
        "VENV": sys.prefix,
        "BROKER": url,
        "PASSWORD": PASSWORD,
        "VHOST": vhost,
        "SETTINGS": json.dumps(settings),
    }
    host = module_lab.host(kind, script=ROLE, environment=environment, services=(server,), disk_mib=512)
    log = "/edx/var/log/supervisor/lms_default_1-stderr.log"
    until(lambda: " ready." in host.sh(f"cat {log}", check=False), lambda: host.sh(f"tail -n 30 {log}"))
    yield host
    host.kill()


def until(well: Callable[[], bool], why: Callable[[], str], limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not well():
        assert time.monotonic() < deadline, why()
        time.sleep(0.3)


def console_of(lab: Lab, host: LabHost, tmp_path: Path) -> Console:
    return Console(lab.hosts_yaml(lab.inventory([host])), tmp_path)


def look(console: Console) -> tuple[dict[str, Any], str]:
    said = console.run("inspect", "edxapp_worker", "--json", status=None)
    (found,) = json.loads(said)["inspections"]
    # What edxapp's inspector, which runs as well, does not see is of its own tests.
    found["missing"] = [m for m in found["missing"] if not m["what"].startswith(OF_EDXAPP)]
    return found, said


def rows(found: dict[str, Any], section: str, table: str) -> list[dict[str, Any]]:
    (part,) = [s for s in found["sections"] if s["name"] == section]
    listed: list[dict[str, Any]] = part["tables"][table]["rows"]
    return listed


def test_workers_queues_tasks_and_backlog(worker: LabHost, module_lab: Lab, tmp_path: Path) -> None:
    console = console_of(module_lab, worker, tmp_path)
    before = left_behind(worker)
    send(worker, 7)
    # One runs, four are held (Celery's prefetch is 4 for each process), two wait.
    until(lambda: waiting(worker) == 2, lambda: str(waiting(worker)))
    found, said = look(console)
    assert found["missing"] == []
    assert found["findings"] == []
    node = f"celery@{QUEUE}.{worker.sh('hostname').strip()}"
    main = int(worker.sh("pgrep -o -f '[c]elery --app=lms'"))
    (process,) = rows(found, "workers", "workers")
    assert (process["pid"], process["node"], process["queues"]) == (main, node, QUEUE)
    assert (process["concurrency"], process["pool"], process["user"]) == (1, 1, "www-data")
    (answer,) = rows(found, "nodes", "nodes")
    assert (answer["node"], answer["here"], answer["active"], answer["reserved"]) == (node, True, 1, 4)
    assert (answer["concurrency"], answer["queues"], answer["scheduled"]) == (1, QUEUE, 0)
    (queue,) = rows(found, "queues", "queues")
    assert (queue["queue"], queue["waiting"], queue["consumers"], queue["here"]) == (QUEUE, 2, 1, True)
    tasks = rows(found, "tasks", "tasks")
    assert [t["state"] for t in tasks] == ["active"] + ["reserved"] * 4
    assert {t["task"] for t in tasks} == {"lms.djangoapps.instructor_task.tasks.calculate_grades_csv"}
    assert tasks[0]["pid"] == int(worker.sh(f"pgrep -P {main}"))
    assert 0 <= tasks[0]["age_seconds"] < 120
    assert {t["queue"] for t in tasks} == {QUEUE}
    (broker,) = rows(found, "brokers", "brokers")
    if worker.name == "redis":
        assert (broker["broker"], broker["in_flight"]) == ("redis at 127.0.0.1:6379, database 3", 4)
        assert 0 <= broker["oldest_in_flight_seconds"] < 120
    else:
        assert (broker["broker"], broker["in_flight"]) == ("amqp at 127.0.0.1:5672, vhost edx", None)
    for secret in ("hunter2", "hunter3", str(PERSONAL)):
        assert secret not in said
        assert secret not in console.run("inspect", "edxapp_worker", status=None)
    until(lambda: left_behind(worker) - {QUEUE, "unacked", "unacked_index"} <= before, lambda: str(before))


def test_a_queue_that_nobody_takes_from(worker: LabHost, module_lab: Lab, tmp_path: Path) -> None:
    other = "edx.lms.core.high"
    send(worker, 3, queue=other)
    try:
        found, _ = look(console_of(module_lab, worker, tmp_path))
        told = {r["queue"]: r for r in rows(found, "queues", "queues")}
        assert (told[other]["waiting"], told[other]["consumers"], told[other]["here"]) == (3, 0, False)
        who = "no worker that answers" if worker.name == "redis" else "no worker"
        assert f"3 tasks wait in {other} and {who} takes them" in [f["text"] for f in found["findings"]]
    finally:
        purge(worker, other)


def test_a_worker_that_hangs_is_unknown_not_down(worker: LabHost, module_lab: Lab, tmp_path: Path) -> None:
    main = worker.sh("pgrep -o -f '[c]elery --app=lms'").strip()
    worker.sh(f"kill -STOP {main}")
    try:
        found, _ = look(console_of(module_lab, worker, tmp_path))
        assert [(m["what"], m["cause"]) for m in found["missing"]] == [
            (f"workers at 127.0.0.1:{6379 if worker.name == 'redis' else 5672}", "no worker answers there")
        ]
        assert [f for f in found["findings"] if f["state"] == "down"] == []
        assert len(rows(found, "workers", "workers")) == 1
        assert not any(s["name"] in ("tasks", "nodes") for s in found["sections"])
    finally:
        worker.sh(f"kill -CONT {main}")


def test_a_login_that_the_broker_refuses(worker: LabHost, module_lab: Lab, tmp_path: Path) -> None:
    worker.sh("cp -p /edx/etc/lms.yml /edx/etc/kept; sed -i s/hunter2/hunter4/ /edx/etc/lms.yml")
    try:
        found, said = look(console_of(module_lab, worker, tmp_path))
        assert "hunter4" not in said
        assert any(
            "Redis says WRONGPASS" in m["cause"] or "does not accept" in m["cause"] for m in found["missing"]
        )
        assert len(rows(found, "workers", "workers")) == 1
        (broker,) = rows(found, "brokers", "brokers")
        assert (broker["in_flight"], broker["workers_answering"]) == (None, None)
        (queue,) = rows(found, "queues", "queues")
        assert (queue["waiting"], queue["consumers"]) == (None, None)
    finally:
        worker.sh("mv /edx/etc/kept /edx/etc/lms.yml")


def test_without_rights_it_is_told_what_is_missing(worker: LabHost, module_lab: Lab, tmp_path: Path) -> None:
    inventory = module_lab.inventory([worker])
    text = module_lab.hosts_yaml(inventory).read_text()
    assert "become: sudo" in text
    plain = tmp_path / "plain.yaml"
    plain.write_text(text.replace("become: sudo", "become: null"))
    found, _ = look(Console(plain, tmp_path))
    (missing,) = found["missing"]
    assert missing["what"] == "settings in /edx/etc/lms.yml"
    assert "head -c 262145 -- /edx/etc/lms.yml" in missing["remedy"]
    assert not {s["name"] for s in found["sections"]} & {"brokers", "queues", "nodes", "tasks"}
    assert len(rows(found, "workers", "workers")) == 1


def send(host: LabHost, count: int, queue: str = QUEUE) -> None:
    code = SEND.replace(repr(QUEUE), repr(queue))
    where = f"cd /edx/app/edxapp && BROKER='{BROKERS[host.name][0]}'"
    host.sh(f"{where} {sys.prefix}/bin/python - {count} <<'CODE'\n{code}\nCODE")


def waiting(host: LabHost, queue: str = QUEUE) -> int:
    if host.name == "redis":
        return int(redis(host, f"llen {queue}"))
    listed = host.sh("rabbitmqctl -q list_queues -p edx name messages_ready --no-table-headers")
    return int(dict(line.split("\t") for line in listed.splitlines()).get(queue, 0))


def purge(host: LabHost, queue: str) -> None:
    if host.name == "redis":
        redis(host, f"del {queue}")
    else:
        host.sh(f"rabbitmqctl -q delete_queue -p edx {queue}")


def left_behind(host: LabHost) -> set[str]:
    """Keys or queues of the broker."""
    if host.name == "redis":
        return set(redis(host, "keys '*'").split())
    return set(host.sh("rabbitmqctl -q list_queues -p edx name --no-table-headers").split())


def redis(host: LabHost, command: str) -> str:
    return host.sh(f"REDISCLI_AUTH='{PASSWORD}' redis-cli -n 3 {command}").strip()
