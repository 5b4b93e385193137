"""Claims held against what runs: each way to agree, to disagree, and not to know."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.discovery.model import Edge, FoundHost, Install, Kind, Topology, Verdict
from edxconsole.discovery.topology import endpoint_of, join
from edxconsole.inspect.edxapp_config import Claim, claims_of, parse_config
from edxconsole.inspect.model import Missing
from tests.lab.console import UNSAFE
from tests.unit.discovery.making import CATALOG, claim, config, container, found, inventory, listener

RENDERED = Path(__file__).parents[1] / "inspect" / "golden"
DATA = found("data", ["memcached"], listeners=[listener("memcached", 11211)], address="10.0.0.5")


def told(*claims: Claim, **more: object) -> FoundHost:
    """app1, with one file that says this."""
    said = {"resolved": {"data": ("10.0.0.5",), "nowhere": (), "far.example.com": ("192.0.2.9",)}} | more
    return found("app1", ["lms"], configs=(config(*claims),), address="10.0.0.1", **said)  # type: ignore[arg-type]


def joined(*hosts: FoundHost, also: tuple[str, ...] = ()) -> Topology:
    named = {host.name: host for host in hosts}
    return join(named, inventory(*named, *also), CATALOG)


def only(topology: Topology) -> Edge:
    (edge,) = topology.edges
    return edge


@pytest.mark.parametrize("host", ["data", "10.0.0.5", "DATA", "::ffff:10.0.0.5"])
def test_what_listens_where_a_file_says_agrees(host: str) -> None:
    topology = joined(told(claim("memcached", host, 11211)), DATA)
    edge = only(topology)
    assert (edge.target, edge.verdict, edge.text) == ("data", Verdict.RUNS, "memcached listens there")
    assert topology.disagreements == topology.unknowns == ()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "0.0.0.0", "app1", "10.0.0.1"])
def test_loopback_and_its_own_names_are_the_host_that_has_the_file(host: str) -> None:
    topology = joined(told(claim("redis", host, 6379)), DATA)
    assert only(topology).target == "app1"
    assert (
        f"app1: /edx/etc/lms.yml names Redis {endpoint_of(claim('redis', host, 6379))}; "
        "nothing of Redis listens there."
    ) in topology.disagreements


def test_a_wrong_port_is_said_in_one_sentence_for_all_keys_and_files() -> None:
    wrong = [claim("memcached", "10.0.0.5", 11212, key=f"CACHES.{n}.LOCATION") for n in "abc"]
    cms = config(claim("memcached", "10.0.0.5", 11212, path="/edx/etc/studio.yml"))
    app = found("app1", ["lms"], configs=(config(*wrong), cms))
    assert (
        joined(app, DATA).disagreements
        == (
            "app1: /edx/etc/lms.yml and /edx/etc/studio.yml name memcached 10.0.0.5:11212; "
            "nothing of memcached listens there on data.",
            "memcached runs on data and no configuration names it.",
        )[:1]
    )


def test_a_store_on_loopback_only_does_not_serve_others() -> None:
    data = found("data", ["mysql"], listeners=[listener("mysql", 3306, "127.0.0.1")], address="10.0.0.5")
    edge = only(joined(told(claim("mysql", "data", 3306)), data))
    assert (edge.verdict, edge.text) == (Verdict.AMISS, "it listens on 127.0.0.1 only")
    own = found(
        "app1",
        listeners=[listener("mysql", 3306, "127.0.0.1")],
        configs=(config(claim("mysql", "localhost", 3306)),),
    )
    assert only(joined(own)).verdict is Verdict.RUNS


def test_another_program_on_the_port_is_named() -> None:
    data = found("data", listeners=[listener("redis", 11211)], address="10.0.0.5")
    assert (
        only(joined(told(claim("memcached", "data", 11211)), data)).text
        == "Redis listens there, not memcached"
    )
    blind = found("data", listeners=[listener("", 11211, process="")], address="10.0.0.5")
    assert only(joined(told(claim("memcached", "data", 11211)), blind)).verdict is Verdict.UNKNOWN


def test_nginx_may_stand_in_front_of_an_application_but_not_of_a_store() -> None:
    web = found("web", listeners=[listener("nginx", 18040)], address="10.0.0.9")
    assert only(joined(told(claim("xqueue", "10.0.0.9", 18040)), web)).verdict is Verdict.RUNS
    assert only(joined(told(claim("mysql", "10.0.0.9", 18040)), web)).verdict is Verdict.AMISS


def test_an_upstream_member_that_no_host_is_disagrees_and_a_hosted_database_does_not() -> None:
    member = claim(
        "lms", "far.example.com", 8000, key="upstream lms-backend", path="/etc/nginx/sites-enabled/lms"
    )
    topology = joined(told(member, claim("mysql", "far.example.com", 3306)))
    assert topology.disagreements == (
        "app1: /etc/nginx/sites-enabled/lms names far.example.com:8000 in upstream lms-backend; "
        "no host of this cluster is that.",
    )
    assert {e.verdict for e in topology.edges} == {Verdict.OUTSIDE}


def test_a_name_that_can_not_be_resolved() -> None:
    topology = joined(told(claim("mysql", "nowhere", 3306)))
    assert topology.disagreements == (
        "app1: /edx/etc/lms.yml names MySQL nowhere:3306; app1 can't resolve that name.",
    )
    assert only(joined(told(claim("mysql", "untried", 3306)))).verdict is Verdict.UNKNOWN


def test_sockets() -> None:
    forum = claim("forum", "", None, unix="/edx/var/forum/forum.sock", key="upstream forum_app_server")
    assert only(joined(told(forum))).verdict is Verdict.AMISS
    there = listener("forum", 0, "/edx/var/forum/forum.sock", proto="unix")
    app = found("app1", ["forum"], listeners=[there], configs=(config(forum),))
    edge = only(joined(app))
    assert (edge.endpoint, edge.verdict) == ("unix:/edx/var/forum/forum.sock", Verdict.RUNS)


def test_a_host_that_was_not_reached_is_never_said_to_lack_something() -> None:
    gone = FoundHost("data", None, reason="data: no route.", installs=(Install(Kind.UNKNOWN),))
    topology = joined(told(claim("memcached", "data", 11211)), gone)
    assert topology.disagreements == ()
    assert only(topology).verdict is Verdict.UNKNOWN
    assert "data: no route." in topology.unknowns
    elsewhere = joined(told(claim("mysql", "far.example.com", 3306)), gone)
    assert only(elsewhere).text == "it may be data, not looked at"
    beside = joined(
        told(
            claim(
                "memcached",
                "db7",
                11211,
            ),
            resolved={"db7": ("192.0.2.1",)},
        ),
        also=("db7",),
    )
    assert (only(beside).target, only(beside).verdict) == ("db7", Verdict.UNKNOWN)
    assert "Not looked at: db7." in beside.unknowns


def test_a_store_that_no_file_names() -> None:
    assert joined(told(claim("redis", "far.example.com", 6379)), DATA).disagreements == (
        "memcached runs on data and no configuration names it.",
    )
    unread = told(
        claim("redis", "far.example.com", 6379), missing=(Missing("/edx/etc/studio.yml", "no right"),)
    )
    topology = joined(unread, DATA)
    assert topology.disagreements == ()
    assert (
        "Whether a configuration names memcached on data is not known: not all of them could be seen."
        in topology.unknowns
    )
    assert "app1: /edx/etc/studio.yml not seen: no right." in topology.unknowns
    assert joined(DATA).unknowns == (
        "Whether a configuration names memcached on data is not known: none of an application was found.",
    )


def test_an_address_that_several_hosts_have_is_none_of_them() -> None:
    one = found("a", listeners=[listener("mysql", 3306)], address="172.17.0.1")
    two = found("b", listeners=[listener("mysql", 3306)], address="172.17.0.1")
    edge = only(joined(told(claim("mysql", "172.17.0.1", 3306)), one, two))
    assert (edge.target, edge.verdict) == (None, Verdict.OUTSIDE)


def test_stale_files_and_files_of_hosts_not_reached_say_nothing() -> None:
    stale = found("app1", configs=(config(claim("mysql", "nowhere", 1), in_force=False),))
    assert joined(stale).edges == ()


class TestProject:
    """Names inside a compose project are its services."""

    def host(
        self, *claims: Claim, units: tuple[str, ...] = ("mysql",), stopped: tuple[str, ...] = ()
    ) -> FoundHost:
        made = [container(s) for s in units] + [container(s, runs=False) for s in stopped]
        return found("t", configs=(config(*claims, project="tutor_local"),), units=made)

    def test_a_container_that_runs(self) -> None:
        edge = only(joined(self.host(claim("mysql", "mysql", 3306))))
        assert (edge.target, edge.verdict) == ("t", Verdict.RUNS)

    def test_one_that_does_not(self) -> None:
        topology = joined(self.host(claim("redis", "redis", 6379), stopped=("redis",)))
        assert topology.disagreements == (
            "t: /edx/etc/lms.yml names Redis redis:6379; its container is exited (1).",
        )

    def test_one_that_was_never_made(self) -> None:
        made = claim("redis", "redis", None, key="services.redis")
        topology = joined(self.host(made, claim("redis", "redis", 6379)))
        assert {(e.verdict, e.text) for e in topology.edges} == {(Verdict.AMISS, "it has no container")}

    def test_a_service_whose_name_begins_like_another(self) -> None:
        edges = joined(self.host(claim("lms", "lms", 8000), units=("lms-worker",))).edges
        assert edges[0].verdict is not Verdict.RUNS

    def test_loopback_is_inside_the_container(self) -> None:
        assert only(joined(self.host(claim("mysql", "localhost", 3306)))).verdict is Verdict.UNKNOWN


def test_the_settings_that_edx_playbooks_render_agree_with_an_all_in_one() -> None:
    """Rendered by openedx/configuration (c8aa592a7) with its defaults, which name every optional service."""
    configs = []
    for name in ("lms", "studio"):
        path = f"/edx/etc/{name}.yml"
        text = (RENDERED / f"configuration-c8aa592a7-{name}.yml").read_text()
        configs.append(config(*claims_of(parse_config(text, path), path), path=path))
    stores = {"mysql": 3306, "mongodb": 27017, "memcached": 11211, "redis": 6379, "elasticsearch": 9200}
    own = {"lms": 8000, "cms": 8010, "xqueue": 8040}
    listeners = [listener(c, port, "127.0.0.1") for c, port in (stores | own).items()]
    listeners += [listener("nginx", port) for port in (80, 18000, 18010, 18040, 18080)]
    one = found("one", [*stores, *own, "nginx"], listeners=listeners, configs=tuple(configs))
    topology = joined(one)
    assert topology.disagreements == ()
    verdicts = {e.component: e.verdict for e in topology.edges}
    assert {c: verdicts[c] for c in (*stores, "xqueue")} == dict.fromkeys((*stores, "xqueue"), Verdict.RUNS)
    (said,) = topology.unknowns
    assert said.startswith(
        "one: its files name what was seen nowhere and may never have been installed: Notes, "
    )
    without = found("one", [*own, "nginx"], listeners=listeners[5:], configs=tuple(configs))
    assert len(joined(without).disagreements) == len(stores), "stores are never optional"


HOSTS = st.sampled_from(
    ["", "data", "app1", "localhost", "10.0.0.5", "::1", "x\x1b[2J", "é", "a" * 300, "%", "[", "1.2.3"]
)
CLAIMS = st.builds(
    Claim,
    component=st.sampled_from(["", "mysql", "memcached", "lms", "nothing"]),
    host=HOSTS,
    port=st.one_of(st.none(), st.integers(1, 65535)),
    unix=st.one_of(st.none(), st.just("/run/x")),
    key=st.text(max_size=20),
    path=st.text(max_size=20),
)


@given(st.lists(CLAIMS, max_size=8), st.sampled_from(["", "tutor_local"]))
def test_any_claims_are_joined_and_nothing_shown_steers_a_terminal(claims: list[Claim], project: str) -> None:
    app = found("app1", configs=tuple(config(c, project=project) for c in claims), units=[container("mysql")])
    topology = joined(app, DATA)
    for text in (*topology.disagreements, *topology.unknowns, *(e.endpoint for e in topology.edges)):
        assert not UNSAFE.search(text)
