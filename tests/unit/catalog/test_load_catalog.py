"""The built-in catalog is whole, and a mistake in a component file is told with file, line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edxconsole.catalog.builtin import built_in_ids
from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import Catalog
from edxconsole.errors import CatalogError

SEED = [
    "nginx", "lms", "cms", "edxapp_worker", "xqueue", "supervisor",
    "mysql", "mongodb", "memcached", "rabbitmq",
]  # fmt: skip


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_the_seed_is_there_in_display_order(catalog: Catalog) -> None:
    assert [c for c in catalog.components if c in SEED] == SEED
    assert set(catalog.components) == built_in_ids()


def test_what_is_dangerous_says_so(catalog: Catalog) -> None:
    actions = {c.id: c.actions for c in catalog.components.values()}
    nginx, memcached, worker = actions["nginx"], actions["memcached"], actions["edxapp_worker"]
    assert nginx.reload is not None
    assert nginx.reload.preflight == ("/usr/sbin/nginx", "-t")
    assert memcached.restart is not None
    assert "logged out" in memcached.restart.warning
    assert worker.restart is not None
    assert "5 days" in worker.restart.what
    for refused in ("supervisor", "xqueue", "edxapp_worker", "mysql", "memcached"):
        reload = actions[refused].reload
        assert reload is not None
        assert reload.method == "none", refused
    for signalled in ("lms", "cms"):
        reload = actions[signalled].reload
        assert reload is not None
        assert reload.method == "hup-master"
        assert "Eucalyptus" in reload.what


def test_log_globs_fit_old_and_new_names_and_nothing_else(catalog: Catalog) -> None:
    """Birch and before write lmstderr.log, because of a typo in edX's configuration."""
    import fnmatch

    glob = next(log.path for log in catalog.components["lms"].logs if log.name == "lms-stderr")
    base = "/edx/var/log/supervisor/"
    for name in ("lms-stderr.log", "lmstderr.log"):
        assert fnmatch.fnmatchcase(base + name, glob)
    for name in ("lms_default_1-stderr.log", "lms-stdout.log", "cms-stderr.log"):
        assert not fnmatch.fnmatchcase(base + name, glob)


GOOD = """\
id: notes
title: Notes
what: Keeps notes.
breaks: No notes.
listeners:
  - {name: gunicorn, port: 8120}
"""


def write(tmp_path: Path, text: str, name: str = "notes.yaml") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path


def test_a_component_is_added_by_a_file(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path, GOOD))
    assert catalog.components["notes"].listeners[0].port == 8120
    assert "lms" in catalog.components


def test_a_built_in_component_is_overridden_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, "id: lms\nlisteners:\n  - {name: gunicorn, port: 9000}\n", "mine.yaml")
    lms = load_catalog(tmp_path / "mine.yaml").components["lms"]
    assert lms.listeners[0].port == 9000
    assert lms.actions.reload is not None, "what the file does not say stays"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD + "colour: red\n", ":7: colour: unknown key"),
        (GOOD.replace("what:", "waht:"), ":1: the key 'what' is missing"),
        (GOOD.replace("port: 8120", "port: http"), ":6: listeners[1].port: found 'http', expected a whole"),
        (GOOD.replace("port: 8120", "required: true"), ":6: listeners[1]: expected either port or unix"),
        (GOOD.replace("id: notes", "id: My Notes"), ":1: id: found 'My Notes', expected small letters"),
        (GOOD + "signature: {argv: ['(']}\n", ":7: signature.argv[1]: '(' is no regular expression"),
        (
            GOOD + "signature:\n  program: [x, nginx]\n",
            ":8: signature.program[2]: 'nginx' already means nginx",
        ),
        (GOOD + "workers: {description: x}\n", ":7: workers: expected either expression or units"),
        (GOOD + "workers: {units: 'x'}\n", ":7: workers.units: found 'x', expected one group around"),
        (GOOD + "workers: {units: '(x'}\n", ":7: workers.units: '(x' is no regular expression"),
        (GOOD + "uses: [mysq]\n", ":7: uses[1]: there is no component 'mysq'; did you mean 'mysql'?"),
        (GOOD + "tutor: {depends: [nothing]}\n", ":7: tutor.depends[1]: there is no component 'nothing'"),
        (GOOD + "tutor: {ports: [0]}\n", ":7: tutor.ports[1]: found the number 0, expected 1 to 65535"),
        (
            GOOD + "tutor:\n  logs:\n    - {name: x, path: /var/log/x, format: plain}\n",
            ":9: tutor.logs[1].path: found '/var/log/x', expected it below Tutor's root",
        ),
        (
            GOOD + "tutor:\n  ports: [80]\n  health:\n    - {name: x, kind: http, port: 81}\n",
            ":10: tutor.health[1].port: found the number 81, expected one of ports",
        ),
        (GOOD + "depends: [mysq]\n", ":7: depends[1]: there is no component 'mysq'; did you mean 'mysql'?"),
        (
            GOOD + "health:\n  - {name: x, kind: httpx}\n",
            ":8: health[1].kind: found 'httpx', expected 'http', 'nginx'",
        ),
        (GOOD + "health:\n  - {name: x, kind: http}\n", ":8: health[1]: a check of kind http needs port"),
        (
            GOOD + "actions:\n  reload: {what: x, method: hup-master}\n",
            ":8: actions.reload.method: hup-master needs signature.master",
        ),
        (GOOD + "logs:\n  - {name: x, path: log, format: plain}\n", ":8: logs[1].path: found 'log'"),
        ("- a\n", ":1: found a list, expected a mapping that begins with id:"),
        ("", ": is empty"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text) / "notes.yaml"
    with pytest.raises(CatalogError, match=re.escape(f"{path}{expected}")) as caught:
        load_catalog(path)
    assert caught.value.exit_status == 2


def test_mistakes_of_several_files_are_all_told(tmp_path: Path) -> None:
    write(tmp_path, "id: a\n", "a.yaml")
    write(tmp_path, "id: b\n", "b.yaml")
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path)
    assert {"a.yaml", "b.yaml"} <= set(re.findall(r"[ab]\.yaml", caught.value.cause))


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file or directory of components"):
        load_catalog(tmp_path / "none")
