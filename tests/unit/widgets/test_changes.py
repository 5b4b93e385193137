"""What counts as a change: not what is first seen, and not what is merely not known for a while."""

from __future__ import annotations

from dataclasses import replace

from edxconsole.cluster.model import ClusterSnapshot, Link, State
from tests.tui import snapshots
from widgets.change_list import Changes


def with_web(cluster: ClusterSnapshot, link: Link, state: State) -> ClusterSnapshot:
    web = cluster.hosts["web"]
    web = replace(web, link=link, instances=(replace(web.instances[0], state=state, reason="because"),))
    return replace(cluster, hosts={**cluster.hosts, "web": web})


def test_only_real_changes_are_listed_newest_first() -> None:
    changes = Changes()
    now = snapshots.healthy()
    steps = [
        (Link.CONNECTING, State.UNKNOWN),
        (Link.LIVE, State.UNKNOWN),
        (Link.LIVE, State.UP),
        (Link.LIVE, State.DOWN),
        (Link.LIVE, State.UNKNOWN),
        (Link.LIVE, State.DOWN),
        (Link.STALE, State.DOWN),
        (Link.LOST, State.UNKNOWN),
        (Link.CONNECTING, State.UNKNOWN),
        (Link.LIVE, State.UNKNOWN),
        (Link.LIVE, State.UP),
    ]
    for at, (link, state) in enumerate(steps):
        then, now = now, with_web(now, link, state)
        changes.note(then, now, float(at))
    seen = [(c.at, c.component, c.look.word) for c in changes.newest if c.host == "web"]
    assert seen == [
        (10.0, "nginx", "up"), (9.0, "", "live"), (7.0, "", "lost"), (6.0, "", "stale"),
        (3.0, "nginx", "down"),
    ]  # fmt: skip
