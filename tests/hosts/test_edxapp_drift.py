"""LMS and Studio opened up, and the drift between two of them, on hosts with real gunicorns.

The files are those that openedx/configuration renders (tests/unit/inspect/golden). edx-platform itself
can't be installed here: the gunicorns' applications are the lab's own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.inspect.drift_facts import facts_of
from edxconsole.inspect.drift_run import roles_of
from edxconsole.inspect.sight import Sight
from edxconsole.inventory.model import Environment, Inventory
from tests.lab.cluster import LabCluster
from tests.lab.console import Console
from tests.lab.host import LabHost
from tests.lab.watching import watching

pytestmark = [pytest.mark.hosts, pytest.mark.root]

GOLDEN = Path(__file__).parents[1] / "unit" / "inspect" / "golden"
YAML, STUDIO = "/edx/etc/lms.yml", "/edx/etc/studio.yml"
JSON = "/edx/app/edxapp/lms.env.json"
SECRET = "hunter2horse"


def rendered(name: str) -> str:
    """A file of configuration with its services on `data`, and a secret in it."""
    text = (GOLDEN / f"configuration-c8aa592a7-{name}").read_text()
    return text.replace("localhost", "data").replace(
        "EDX_API_KEY: PUT_YOUR_API_KEY_HERE", f"EDX_API_KEY: {SECRET}"
    )


def put(host: LabHost, path: str, text: str, mode: str = "0640") -> None:
    """As Ansible does: owned by root, readable by the programs' group only."""
    host.box.path(path).write_text(text)
    host.sh(f"chown root:www-data {path} && chmod {mode} {path}")


@pytest.fixture(scope="module")
def configured(cluster: LabCluster) -> Iterator[LabCluster]:
    """The cluster whose LMS reads lms.yml, as from Juniper on; its Studio names no file."""
    apps = (cluster.app1, cluster.app2)
    files = {YAML: "lms.yml", STUDIO: "studio.yml", JSON: "lms.env.json"}
    for app in apps:
        for path, name in files.items():
            put(app, path, rendered(name))
        app.sh(f"sed -i.before '2i export LMS_CFG={YAML}' /edx/app/edxapp/lms.sh")
        app.sh("/edx/bin/supervisorctl restart lms", timeout=60)
    cluster.wait_up(90)
    yield cluster
    for app in apps:
        app.sh(f"mv /edx/app/edxapp/lms.sh.before /edx/app/edxapp/lms.sh; rm -f {' '.join(files)}")
        app.sh("/edx/bin/supervisorctl restart lms", timeout=60)
    cluster.wait_up(90)


@pytest.fixture
def console(configured: LabCluster, tmp_path: Path) -> Console:
    return Console(configured.lab.hosts_yaml(configured.inventory()), tmp_path)


def configuration(body: dict[str, Any], component: str, host: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An inspection and its section `configuration`."""
    (found,) = [i for i in body["inspections"] if (i["component"], i["host"]) == (component, host)]
    sections = {s["name"]: s for s in found["sections"]}
    return found, sections.get("configuration", {})


def test_the_files_and_endpoints_of_a_running_lms(console: Console, configured: LabCluster) -> None:
    said = console.run("inspect", "lms@app1", "--json", status=None)
    assert SECRET not in said
    found, section = configuration(json.loads(said), "lms", "app1")
    assert found["missing"] == []
    pid = int(configured.app1.sh("/edx/bin/supervisorctl pid lms"))
    assert section["facts"]["told_by"]["value"] == f"LMS_CFG in the environment of pid {pid}"
    files = {r["file"]: r for r in section["tables"]["files"]["rows"]}
    assert {path: row["read"] for path, row in files.items()} == {YAML: True, JSON: False}
    assert (files[YAML]["owner"], files[YAML]["mode"]) == ("root", "640")
    assert files[YAML]["size_bytes"] == int(configured.app1.sh(f"stat -c %s {YAML}"))
    answers = {(r["component"], r["address"]): r for r in section["tables"]["endpoints"]["rows"]}
    for component, port in (("mysql", 3306), ("mongodb", 27017), ("memcached", 11211), ("redis", 6379)):
        row = answers[component, f"data:{port}"]
        assert (row["answer"], row["required"]) == ("answers", True), row
    assert answers["elasticsearch", "data:9200"]["answer"] == "answers"
    assert answers["xqueue", "data:18040"]["answer"] == "refuses"
    settings = {r["key"]: r for r in section["tables"]["settings"]["rows"]}
    assert (settings["EDX_API_KEY"]["value"], settings["EDX_API_KEY"]["secret"]) == ("***", True)
    assert settings["DATABASES.default.NAME"]["value"] == "edxapp"


def test_a_database_that_is_gone_is_told(console: Console, configured: LabCluster) -> None:
    configured.data.sh("service memcached stop")
    try:
        found, _ = configuration(console.json("inspect", "lms@app2", status=1), "lms", "app2")
        assert any(
            f["text"].startswith("memcached at data:11211, named by CACHES.") for f in found["findings"]
        )
    finally:
        configured.data.sh("service memcached start")
        configured.wait_up(90)


SPOILT = {
    f"head -c 50000000 /dev/zero | tr '\\0' x > {YAML}": "is larger than 256 KiB and was not read",
    f"head -c 5000 /bin/ls > {YAML}": "is binary",
    f"echo 'A: [{SECRET}' > {YAML}": "is not YAML from line 2 on",
    f"printf 'A: 1\\nA: {SECRET}\\n' > {YAML}": "gives a key twice, again on line 2",
    f"chmod 0600 {YAML}": "can't be read, not even as www-data",
    f"rm {YAML}; mkdir {YAML}": "is no ordinary file",
    f"rm {YAML}; mkfifo {YAML}": "is no ordinary file",
    f"rm {YAML}": f"there is no {YAML}",
}
"""how a file becomes one that can't be read -> what is said of it"""


async def test_files_that_can_not_be_read_are_unknown(configured: LabCluster, tmp_path: Path) -> None:
    app = configured.app1
    text = await asyncio.to_thread(rendered, "lms.yml")
    async with watching(configured.inventory(), tmp_path) as engine:
        for spoil, said in SPOILT.items():
            await app.ash(spoil)
            try:
                found = await engine.inspect("app1", "lms")
                assert SECRET not in repr(found), spoil
                assert said in "; ".join(m.cause for m in found.missing), spoil
                (role,) = (await engine.drift({"lms": ("app1", "app2")})).roles
                assert [u.hosts for u in role.unknown if u.kind == "lms_setting"] == [("app1",)], spoil
                assert not any(d.kind == "lms_setting" for d in role.differences), spoil
                assert SECRET not in repr(role), spoil
            finally:
                await app.ash(f"rm -rf {YAML}")
                await asyncio.to_thread(put, app, YAML, text)


def test_without_sudo_it_is_told_what_is_missing(configured: LabCluster, tmp_path: Path) -> None:
    inventory = configured.inventory()
    plain = replace(inventory.hosts["app1"], become=None)
    changed = replace(inventory, hosts={**inventory.hosts, "app1": plain})
    console = Console(configured.lab.hosts_yaml(changed), tmp_path)
    found, section = configuration(console.json("inspect", "lms@app1", status=None), "lms", "app1")
    assert section["facts"]["told_by"]["value"].startswith("the files that are there")
    (missing,) = [m for m in found["missing"] if m["what"] == f"settings of {YAML}"]
    assert missing["cause"] == f"ops may not read {YAML}"
    assert f"(www-data) NOPASSWD: /usr/bin/head -c 262145 -- {YAML}" in missing["remedy"]


def test_nothing_differs_but_what_does(console: Console, configured: LabCluster) -> None:
    before = console.json("drift", "lms@app*", status=None)
    (role,) = before["roles"]
    assert role["hosts"] == ["app1", "app2"]
    assert role["same"] > 400
    assert not any(d["kind"] in ("lms_setting", "system", "package") for d in role["differences"])
    app = configured.app2
    text = rendered("lms.yml").replace(SECRET, "another7")
    put(app, YAML, text.replace("PLATFORM_NAME:", "ONLY_HERE: true\nPLATFORM_NAME:"))
    try:
        printed = console.run("drift", "lms@app*", status=1)
        said = console.run("drift", "lms@app*", "--json", status=1)
        assert SECRET not in said + printed
        assert "another7" not in said + printed
        (role,) = json.loads(said)["roles"]
        told = {d["name"]: d for d in role["differences"] if d["kind"] == "lms_setting"}
        assert set(told) == {"ONLY_HERE", "EDX_API_KEY"}
        assert told["EDX_API_KEY"]["text"] == "app1 and app2 differ"
        assert told["EDX_API_KEY"]["secret"] is True
        assert told["ONLY_HERE"]["groups"] == [
            {"hosts": ["app1"], "value": "not there"}, {"hosts": ["app2"], "value": "true"}
        ]  # fmt: skip
        assert "app1 and app2 differ" in printed
    finally:
        put(app, YAML, rendered("lms.yml"))


def test_programs_are_compared_by_their_sections(console: Console, configured: LabCluster) -> None:
    app, conf = configured.app2, "/edx/app/supervisor/conf.d/lms.conf"
    app.sh(f"sed -i.before 's/^killasgroup=.*/killasgroup=false/' {conf}")
    try:
        (role,) = console.json("drift", "lms@app*", status=1)["roles"]
        told = {d["name"]: d["text"] for d in role["differences"] if d["kind"] == "unit"}
        assert told == {"lms killasgroup": "app1: true; app2: false"}
    finally:
        app.sh(f"mv {conf}.before {conf}")


def test_a_secret_that_lms_and_studio_must_share(console: Console, configured: LabCluster) -> None:
    put(configured.app1, "/edx/app/edxapp/cms.auth.json", json.dumps({"EDX_API_KEY": SECRET}))
    put(configured.app2, "/edx/app/edxapp/cms.auth.json", json.dumps({"EDX_API_KEY": SECRET}))
    try:
        pairs = {s["what"]: s for s in console.json("drift", "@app*", status=None)["shared_secrets"]}
        assert pairs["EDX_API_KEY of lms = EDX_API_KEY of cms"]["same"] is True
        put(configured.app2, "/edx/app/edxapp/cms.auth.json", json.dumps({"EDX_API_KEY": "another7"}))
        said = console.run("drift", "@app*", "--json", status=1)
        assert "another7" not in said
        pairs = {s["what"]: s for s in json.loads(said)["shared_secrets"]}
        assert pairs["EDX_API_KEY of lms = EDX_API_KEY of cms"]["same"] is False
    finally:
        for app in (configured.app1, configured.app2):
            app.sh("rm /edx/app/edxapp/cms.auth.json")


@pytest.mark.systemd
async def test_packages_and_unit_files_under_systemd(systemd_host: LabHost, tmp_path: Path) -> None:
    """One host under two names: what its own tools print is what is compared, and both names say the same."""
    hosts = {name: replace(systemd_host.inventory_host(), name=name) for name in ("twin1", "twin2")}
    inventory = Inventory(environment=Environment.DEVELOPMENT, hosts=hosts)
    async with watching(inventory, tmp_path) as engine:
        roles = roles_of(engine.catalog, engine.snapshot, {})
        assert roles["nginx"] == ("twin1", "twin2")
        found = await engine.drift({"nginx": roles["nginx"]})
        seen = engine.snapshot.hosts["twin1"]
        (instance,) = [i for i in seen.instances if i.component == "nginx"]
        nginx = engine.catalog.components["nginx"]
        facts = await facts_of(Sight(engine.transport("twin1"), seen, nginx, instance, sudo=True), b"salt")
    assert not found.differs
    assert [(u.kind, u.cause) for u in found.roles[0].unknown] == []
    said = {(s.kind, s.name): s.shown for s in facts.said}
    version = await systemd_host.ash("dpkg-query -W -f '${Version}' nginx")
    assert said["package", "nginx"] == version
    assert said["system", "kernel"] == (await systemd_host.ash("uname -r")).strip()
    properties = await systemd_host.ash("systemctl show -p Description,PIDFile nginx.service")
    wanted = dict(line.split("=", 1) for line in properties.splitlines())
    assert said["unit", "nginx.service Unit.Description"] == wanted["Description"]
    assert said["unit", "nginx.service Service.PIDFile"] == wanted["PIDFile"]
    text = await systemd_host.ash("cat /etc/nginx/nginx.conf")
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith(("#", ";"))]
    assert said["config_file", "/etc/nginx/nginx.conf"] == f"{len(lines)} lines"
