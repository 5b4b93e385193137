"""Settings in Python, read as text; the real files are what Tutor 22.0.3 renders, their RSA keys cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.config_leaves import leaves_of
from edxconsole.inspect.config_text import parse_config
from edxconsole.inspect.edxapp_config import claims_of
from edxconsole.inspect.python_settings import Assigned, read_assigned, settings_in

GOLDEN = Path(__file__).with_name("golden")


def of_tutor(variant: str) -> Assigned:
    before = parse_config((GOLDEN / f"tutor-22.0.3-{variant}.env.yml").read_text(), f"{variant}.env.yml")
    text = (GOLDEN / f"tutor-22.0.3-{variant}.production.txt").read_text()
    return settings_in(text, "production.py", before)


@pytest.mark.parametrize("variant", ["lms", "cms"])
def test_what_tutor_renders(variant: str) -> None:
    told = of_tutor(variant)
    claims = {(c.component, c.address) for c in claims_of(told.tree, "production.py")}
    assert claims == {
        ("redis", "redis:6379"),
        ("mongodb", "mongodb:27017"),
        ("meilisearch", "meilisearch:7700"),
    }
    assert {"DOC_STORE_CONFIG", "CACHES", "ALLOWED_HOSTS"} <= told.replaced
    assert "JWT_AUTH" not in told.replaced
    assert {"INSTALLED_APPS", "FEATURES"} <= told.computed
    leaves = {leaf.key: leaf for leaf in leaves_of(told.tree)}
    assert leaves["JWT_AUTH.JWT_SECRET_KEY"].shown == "***"
    assert leaves["CACHES.staticfiles.KEY_PREFIX"].shown == f"staticfiles_{variant}"
    assert "mongodb_parameters.host" not in leaves


def test_look_ups_of_the_settings_before() -> None:
    told = of_tutor("lms").tree
    assert told["ALLOWED_HOSTS"] == ["local.openedx.io", "lms"]
    assert told["BUGS_EMAIL"] == "contact@local.openedx.io"
    assert told["DEFAULT_EMAIL_LOGO_URL"] == "http://local.openedx.io/theming/asset/images/logo.png"


@pytest.mark.parametrize(
    ("text", "tree", "computed"),
    [
        ("A = 1\nA = f()", {}, {"A"}),
        ("A = f()\nA = -1", {"A": -1}, set()),
        ("A = B = {'x': [1, (2,)]}", {"A": {"x": [1, [2]]}, "B": {"x": [1, [2]]}}, set()),
        ("A = {'x': 1, 'y': f(), 'x': g()}", {"A": {}}, set()),
        ("A = []\nA.append('x')", {"A": ["x"]}, set()),
        ("A = [1]\nA.remove(1)", {}, {"A"}),
        ("A = {}\nA.update(B=1)", {}, {"A"}),
        ("A['x']['y'] = 1", {"A": {"x": {"y": 1}}}, set()),
        ("A = {'x': 1, 'y': 2}\nA['x'] = f()", {"A": {"y": 2}}, {"A"}),
        ("A = 1\nif f():\n    A = 2", {}, {"A"}),
        ("A = {'x': 1}\nfor b in f():\n    A['x'] = b", {}, {"A"}),
        ("A = 1\ndel A", {}, {"A"}),
        ("A = 1\nA += 1", {}, {"A"}),
        ("A, B = 1, 2", {}, {"A", "B"}),
        ("A: int = 3", {"A": 3}, set()),
        ("a = 1\nA = a\n_B = 2", {"A": 1}, set()),
        ("A = SEEN['x']", {"A": 5}, set()),
        ("SEEN = f()\nA = SEEN['x']", {}, {"A", "SEEN"}),
        ("A = SEEN.get('y', 'other')", {"A": "other"}, set()),
        ("A = 'a' 'b' + 'c'", {"A": "abc"}, set()),
        ("import os\n'text'\nprint(1)\nos.x = 1", {}, set()),
    ],
)
def test_statements(text: str, tree: dict[str, object], computed: set[str]) -> None:
    told = read_assigned(text, "p.py", {"SEEN": {"x": 5}})
    assert dict(told.tree) == tree
    assert set(told.computed) == computed


@pytest.mark.parametrize(
    "text",
    [
        "A = ",
        "A = 'hunter2",
        "A=" + "(" * 300,
        "A=" + "-" * 90_000 + "1",
        "A=a" + ".a" * 90_000,
        "a0=[1,1]\n" + "\n".join(f"a{n}=[a{n - 1},a{n - 1}]" for n in range(1, 60)),
        "A=1\n" * 60_000,
    ],
)
def test_what_is_broken_or_grows(text: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read_assigned(text, "p.py", {})
    assert str(refused.value).startswith("p.py ")
    assert "hunter2" not in f"{refused.value!r}{refused.value.__cause__!r}{refused.value.__context__!r}"


WORDS = st.sampled_from(
    ["A", "b", "=", "\n", "{", "}", "[", "]", "(", ")", "'x'", ":", ",", ".", "get", "append", "if", "for",
     "+", "-", "1", " ", "    ", "ENV_TOKENS", "json.dumps", "del", "def", "lambda", "in", "\\", "\0", "é"]
)  # fmt: skip


@given(
    st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=60),
    st.dictionaries(st.text(), st.integers()),
)
def test_any_text_is_read_or_refused(text: str, before: dict[str, Any]) -> None:
    try:
        told = read_assigned(text, "p.py", before)
    except NotUnderstood:
        return
    assert all(name.isupper() for name in (*told.tree, *told.computed))
    assert told.replaced <= told.tree.keys()
    leaves_of(told.tree)
