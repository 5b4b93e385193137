"""The demo's configuration files: what discovery reads in them is what the apps read, and what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edxconsole.demo import cluster_plan
from edxconsole.demo.cluster import settings
from edxconsole.demo.cluster.dependencies import Login
from edxconsole.demo.hostspec import HostFile
from edxconsole.demo.layout import Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.settings_files import Passwords
from edxconsole.inspect.celery_broker import broker_of
from edxconsole.inspect.edxapp_config import claims_of
from edxconsole.inspect.edxapp_files import VARIANTS

REAL = Machine("/usr/sbin/sshd", "/n", "/m", "/r", "/d", "/i")
XQUEUE = ("/edx/app/xqueue/xqueue.env.json", "/edx/app/xqueue/xqueue.auth.json")
PASSWORDS = Passwords()


def written(place: Place, machine: Machine = REAL) -> dict[str, HostFile]:
    files = cluster_plan.contents_of(place, machine, PASSWORDS).files
    return {file.path: file for file in files if file.path.endswith(".json")}


def claimed(files: dict[str, HostFile], paths: tuple[str, ...]) -> set[tuple[str, str]]:
    """Component and address of all that the files name."""
    trees = {path: json.loads(files[path].text) for path in paths}
    return {(c.component, c.address) for path, tree in trees.items() for c in claims_of(tree, path)}


def laid(files: dict[str, HostFile], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write them below `root`, as on a host of a demo without namespaces."""
    for file in files.values():
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    monkeypatch.setenv("EDX_DEMO_ROOT", str(root))


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_an_app_host_names_what_the_demo_runs(name: str) -> None:
    files = written(Place(name, "10.88.1.21"))
    stores = {
        ("mysql", "data:3306"),
        ("mongodb", "data:27017"),
        ("memcached", "data:11211"),
        ("redis", "data:6379"),
    }
    assert claimed(files, VARIANTS["cms"].old) == stores
    assert claimed(files, VARIANTS["lms"].old) == {*stores, ("xqueue", "app1:8040")}


def test_xqueue_has_its_files_where_it_runs() -> None:
    assert claimed(written(Place("app1", "10.88.1.21")), XQUEUE) == {
        ("mysql", "data:3306"),
        ("rabbitmq", "data:5672"),
    }
    assert not {*XQUEUE} & written(Place("app2", "10.88.1.22")).keys()


def test_both_app_hosts_have_the_same_and_nobody_else_may_read_it() -> None:
    one, other = written(Place("app1", "10.88.1.21")), written(Place("app2", "10.88.1.22"))
    assert {path: one[path] for path in other} == other
    assert {file.mode for file in one.values()} == {0o640}


def test_secrets_are_shared_where_they_must_be_and_new_in_each_demo() -> None:
    files = {path: json.loads(file.text) for path, file in written(Place("app1", "10.88.1.21")).items()}
    lms, cms = files[VARIANTS["lms"].old[1]], files[VARIANTS["cms"].old[1]]
    for key in ("SECRET_KEY", "EDX_API_KEY", "DATABASES", "DOC_STORE_CONFIG"):
        assert lms[key] == cms[key]
    assert lms["XQUEUE_INTERFACE"]["django_auth"]["password"] == files[XQUEUE[1]]["USERS"]["lms"]
    other = Passwords()
    assert PASSWORDS.secret_key != other.secret_key
    assert PASSWORDS.databases["edxapp"] != other.databases["edxapp"]
    assert PASSWORDS.secret_key not in repr(PASSWORDS)
    assert PASSWORDS.databases["edxapp"] not in repr(PASSWORDS)


def test_mysql_knows_the_users_that_the_files_name() -> None:
    files = cluster_plan.contents_of(Place("data", "10.88.1.31"), REAL, PASSWORDS).files
    users = next(file for file in files if file.path == "/etc/mysql/demo.sql")
    assert users.mode == 0o640
    for name, user in (("edxapp", "edxapp001"), ("xqueue", "xqueue001")):
        assert f"'{user}'@'%' IDENTIFIED BY '{PASSWORDS.databases[name]}'" in users.text


@pytest.mark.parametrize("variant", ["lms", "cms"])
def test_the_apps_read_what_is_written(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(Place("app1", "10.88.1.21"))
    laid(files, tmp_path, monkeypatch)
    said = settings.load(variant)
    assert said.database == ("data", 3306, Login("edxapp001", PASSWORDS.databases["edxapp"], "edxapp"))
    assert (said.modulestore, said.cache) == (("data", 27017), ("data", 11211))
    assert said.xqueue == (("app1", 8040) if variant == "lms" else None)
    assert said.broker == REAL.broker
    seen = broker_of(said.tree)
    assert seen is not None
    assert (seen.kind, seen.host, seen.port, seen.vhost, seen.login) == ("redis", "data", 6379, "0", "")
    assert PASSWORDS.databases["edxapp"] not in repr(said)


def test_without_namespaces_the_hosts_are_named_by_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = ("127.0.1.21", "127.0.1.22")
    place = Place("app1", "127.0.1.21", "127.0.1.21", str(tmp_path), "127.0.1.31", apps)
    laid(written(place, Machine.bare()), tmp_path, monkeypatch)
    lms, xqueue = settings.load("lms"), settings.load("xqueue")
    assert lms.database[:2] == xqueue.database[:2] == ("127.0.1.31", 3306)
    assert (lms.xqueue, xqueue.rabbit) == (("127.0.1.21", 8040), ("127.0.1.31", 5672))
    assert lms.broker == "filesystem://"
    assert broker_of(lms.tree) is None


def test_an_app_without_its_files_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDX_DEMO_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"lms\.env\.json"):
        settings.load("lms")
