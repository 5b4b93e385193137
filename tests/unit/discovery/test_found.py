"""What one host tells: releases, installs, files in force, nginx, Tutor, names, and what to expect of it."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.cluster.model import Instance, State, SupervisorInfo
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.discovery.configs import by_place
from edxconsole.discovery.expect import is_public, propose, sites_of
from edxconsole.discovery.install import SUPERVISOR_CONF, installs_of
from edxconsole.discovery.look import names_in
from edxconsole.discovery.model import FoundHost, Install, Kind, Running, Sign
from edxconsole.discovery.names import read_found
from edxconsole.discovery.releases import load_releases, narrowed, span_of, tutor_release
from edxconsole.discovery.tutor import services_of
from edxconsole.discovery.upstreams import claims_of_nginx, names_of_nginx
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.edxapp_config import Claim, claims_of, parse_config
from edxconsole.inspect.edxapp_files import VARIANTS
from edxconsole.inspect.nginx_config import parse, read_dump
from edxconsole.inspect.resolving import address_of, is_loopback, read_resolved
from edxconsole.inventory.loader import load_inventory
from edxconsole.inventory.names import MAX_SITES, check_site
from edxconsole.inventory.writer import render_hosts
from edxconsole.services.docker_projects import CONFIG_FILES, WORKING_DIR, Project, projects_of
from edxconsole.services.docker_units import ONE_OFF, PROJECT, SERVICE
from tests.unit.discovery.making import CATALOG, claim, config, found, process, snapshot

GOLDEN = Path(__file__).with_name("golden") / "tutor-22.0.3"
QUEUE = "edx.lms.core.default"
NGINX = Path(__file__).parents[1] / "inspect" / "golden" / "nginx-T-1.22.1.txt"


def program(name: str) -> Unit:
    return Unit("supervisor:/s", name, "RUNNING", UnitHealth.RUNNING, Identity(7, 1))


def classic(*programs: str, version: str = "", argv: str = "", files: tuple[str, ...] = ()) -> Install:
    info = SupervisorInfo("s", SUPERVISOR_CONF, "", "www-data", version, "RUNNING", Identity(1, 1))
    processes = {5: process(5, argv)} if argv else {}
    units = {f"supervisor:/s/{name}": program(name) for name in programs}
    host = snapshot("a", units=units, supervisors=(info,), processes=processes)
    (install,) = installs_of(CATALOG, host, (SUPERVISOR_CONF, *files), (), {})
    assert install.kind is Kind.CLASSIC
    return install


@pytest.mark.parametrize(
    ("programs", "more", "release"),
    [
        (("edxapp:lms", "edxapp_worker:lms_default_3"), {}, "Aspen to Cypress"),
        (("edxapp:lms", "edxapp_worker:cms_low_1"), {}, "Dogwood to Ginkgo"),
        (("lms", "edxapp_worker:cms_low_1"), {}, "Hawthorn"),
        (("lms", "edxapp_worker:lms_default_1"), {}, "Hawthorn to Quince"),
        (("lms",), {"files": ("/edx/etc/lms.yml",)}, "Juniper to Quince"),
        (("lms",), {"files": ("/edx/etc/lms.yml",), "version": "3.2.3"}, "Juniper"),
        (("lms",), {"version": "4.2.1"}, "Koa to Quince"),
        (("lms",), {"version": "4.2.5"}, "Hawthorn to Quince"),
        (("lms", "certs"), {"version": "4.2.1"}, "Koa to Lilac"),
        (
            ("lms",),
            {"argv": f"/e/manage.py lms --settings=production celery worker --queues={QUEUE}"},
            "Ironwood to Juniper",
        ),
        ((), {}, ""),
    ],
)  # fmt: skip
def test_names_files_and_versions_tell_the_release(
    programs: tuple[str, ...], more: dict[str, object], release: str
) -> None:
    install = classic(*programs, **more)  # type: ignore[arg-type]
    assert install.release == release
    assert install.contradiction == ""
    assert install.evidence[0] == f"{SUPERVISOR_CONF} exists"


def test_signs_that_contradict_each_other_are_told_and_no_release_is_guessed() -> None:
    install = classic("edxapp:lms", files=("/edx/etc/lms.yml",))
    assert install.release == ""
    assert install.contradiction == (
        "/edx/etc/lms.yml exists (Juniper and later), but a program is called edxapp:lms (up to Ginkgo)"
    )


def test_what_the_catalog_says_of_releases_is_understood() -> None:
    known = load_releases().order
    said = {c.releases for c in CATALOG.components.values() if c.releases}
    said |= {a.releases for c in CATALOG.components.values() for a in c.aliases if " to " in a.releases}
    spans = {text: span_of(text) for text in said if not text.startswith(("up to", "after"))}
    assert all(span is not None for span in spans.values()), spans
    assert all(span.since in known for span in spans.values() if span)
    assert span_of("2014") is None


RELEASES = st.sampled_from(load_releases().order)


@given(st.lists(st.builds(Sign, text=st.just("x"), since=RELEASES, until=RELEASES), max_size=6))
def test_any_signs_are_narrowed_to_a_range_or_a_contradiction(signs: list[Sign]) -> None:
    release, contradiction = narrowed(signs)
    assert not (release and contradiction)
    order = load_releases().order
    if " to " in release:
        since, until = release.split(" to ")
        assert order.index(since) < order.index(until)


def test_a_tutor_release_by_its_version() -> None:
    assert tutor_release("22.0.3") == "Verawood (Tutor 22.0.3)"
    assert tutor_release("13.1.11-nightly") == "Maple (Tutor 13.1.11)"
    assert tutor_release("99.0.0") == "Tutor 99.0.0"
    assert tutor_release("x\n22") == ""


def test_installs_of_hosts_without_open_edx() -> None:
    seen = snapshot("a", processes={1: process(1, "/sbin/init")})
    assert installs_of(CATALOG, seen, (), (), {})[0].kind is Kind.NONE
    assert installs_of(CATALOG, snapshot("a"), (), (), {})[0].kind is Kind.UNKNOWN
    other = Project("shop", images={"web": "nginx:1"})
    assert installs_of(CATALOG, seen, (), (other,), {})[0].kind is Kind.NONE
    (rendered,) = installs_of(CATALOG, seen, (), (), {"/r": "15.3.7"})
    assert (rendered.kind, rendered.release, rendered.root) == (Kind.TUTOR, "Olive (Tutor 15.3.7)", "/r")
    assert "no container of it was seen" in rendered.evidence


def test_files_in_force_where_no_process_tells() -> None:
    lms = VARIANTS["lms"]
    assert by_place(lms, frozenset(lms.candidates)).paths == (lms.usual,)
    assert by_place(lms, frozenset(lms.old)).paths == lms.old
    assert by_place(lms, frozenset()).paths == ()


def test_upstreams_of_a_recorded_nginx() -> None:
    claims = claims_of_nginx(CATALOG, (read_dump(NGINX.read_text()),))
    assert {(c.component, c.host, c.port, c.unix, c.key) for c in claims} >= {
        ("lms", "127.0.0.1", 8000, None, "upstream lms-backend"),
        ("forum", "", None, "/edx/var/forum/forum.sock", "upstream forum_app_server"),
    }
    assert not [c for c in claims if c.host == "127.0.0.3"], "marked down, so nothing is passed to it"


def test_what_is_passed_to_directly_and_what_makes_no_sense() -> None:
    text = """http {
      upstream lms-backend { server [2001:db8::1]:8000; server a:99999; server "x y"; server h; }
      server { location / { proxy_pass http://lms-backend; } location /a { proxy_pass http://app7:8010/x; }
               location /b { proxy_pass http://$back; } location /c { uwsgi_pass unix:/run/u.sock; } } }"""
    claims = claims_of_nginx(CATALOG, parse(text, "/etc/nginx/x"))
    assert [(c.component, c.host, c.port, c.unix) for c in claims] == [
        ("lms", "2001:db8::1", 8000, None),
        ("lms", "h", 80, None),
        ("cms", "app7", 8010, None),
        ("", "", None, "/run/u.sock"),
    ]


def test_services_of_the_compose_files_that_tutor_renders() -> None:
    claims: list[Claim] = []
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        path = GOLDEN / "env" / "local" / name
        claims += services_of(CATALOG, parse_config(path.read_text(), str(path)), str(path))
    assert {(c.host, c.component) for c in claims} == {
        ("mongodb", "mongodb"), ("mysql", "mysql"), ("meilisearch", "meilisearch"), ("redis", "redis"),
        ("smtp", "smtp"), ("lms", "lms"), ("cms", "cms"), ("caddy", "caddy"),
        ("lms-worker", "edxapp_worker"), ("cms-worker", "edxapp_worker"),
    }  # fmt: skip
    with pytest.raises(NotUnderstood, match="has no services"):
        services_of(CATALOG, {"services": []}, "/x/docker-compose.yml")


def test_settings_that_tutor_renders_name_its_services() -> None:
    path = GOLDEN / "env/apps/openedx/config/lms.env.yml"
    claims = claims_of(parse_config(path.read_text(), str(path)), str(path))
    assert {("mysql", "mysql", 3306), ("redis", "redis", 6379), ("smtp", "smtp", 8025)} <= {
        (c.component, c.host, c.port) for c in claims
    }


def listed(service: str, **labels: str) -> dict[str, object]:
    told = {PROJECT: "tutor_local", SERVICE: service} | labels
    return {"Labels": told, "Image": "docker.io/overhangio/openedx:22.0.3"}


def test_projects_by_their_labels() -> None:
    root = "/home/ops/.local/share/tutor"
    files = f"{root}/env/local/docker-compose.yml,{root}/env/local/docker-compose.prod.yml"
    entries = [
        listed("lms", **{WORKING_DIR: f"{root}/env/local", CONFIG_FILES: files}),
        listed("cms"),
        listed("lms-job", **{ONE_OFF: "True"}),
        {"Labels": {}, "Image": "x"},
        None,
    ]
    (project,) = projects_of(entries)
    assert (project.name, project.tutor_root) == ("tutor_local", root)
    assert project.config_files == tuple(files.split(","))
    assert set(project.images) == {"lms", "cms"}


@pytest.mark.parametrize(
    "said", ["relative/env/local", "/a/../b/env/local", "/a b/env/local", "/x\n/env/local", ""]
)
def test_a_label_that_is_no_path_is_no_root(said: str) -> None:
    (project,) = projects_of([listed("lms", **{WORKING_DIR: said, CONFIG_FILES: said})])
    assert project.tutor_root == ""


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.one_of(JSON, st.builds(listed, st.text(max_size=9))), max_size=4))
def test_any_answer_of_docker_is_taken(entries: list[object]) -> None:
    for project in projects_of(entries):
        assert project.name == "tutor_local"


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=3))
def test_any_compose_file_is_understood_or_refused(tree: dict[str, object]) -> None:
    if isinstance(tree.get("services"), dict):
        assert isinstance(services_of(CATALOG, tree, "/x"), tuple)
    else:
        with pytest.raises(NotUnderstood, match="has no services"):
            services_of(CATALOG, tree, "/x")


PIECES = st.lists(
    st.sampled_from(
        [*"{};\"' \n$", "upstream", "server", "lms-backend", "a:80", "unix:/x", "proxy_pass", "http://a"]
    )
)


@given(PIECES.map(" ".join))
def test_any_nginx_configuration_is_understood_or_refused(text: str) -> None:
    try:
        claims = claims_of_nginx(CATALOG, parse(text, "/x"))
    except NotUnderstood:
        return
    assert all(c.port is None or 0 < c.port < 65536 for c in claims)


@given(st.text())
def test_any_output_of_the_scripts_is_taken(text: str) -> None:
    addresses, paths, closed = read_found(f"addresses\n{text}\nfiles\n{text}")
    assert all(address_of(a) == a for a in addresses)
    assert all(p.startswith("/") and p.isprintable() for p in (*paths, *closed))
    assert set(read_resolved(text, ["a"])) <= {"a"}


def test_the_scripts_output() -> None:
    text = "addresses\n10.0.0.1 fe80::1 172.17.0.1 \nfiles\n/edx/app\nclosed /edx/etc\n/edx/etc/lms.yml\n"
    assert read_found(text) == (
        frozenset({"10.0.0.1", "fe80::1", "172.17.0.1"}),
        ("/edx/app", "/edx/etc/lms.yml"),
        ("/edx/etc",),
    )
    ip = "addresses\n1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.7/24 scope x\nfiles\n"
    assert "10.0.0.7" in read_found(ip)[0]
    told = "data 10.0.0.5 10.0.0.5 10.0.0.5\ngone\nother 1.2.3.4\n"
    assert read_resolved(told, ["data", "gone", "slow"]) == {"data": ("10.0.0.5",), "gone": ()}
    assert is_loopback("127.1.2.3")
    assert not is_loopback("data")


@pytest.mark.parametrize("piece", ["9", "/x\n", "a ", "fe80::1 ", "\nfiles\n", "closed /x\n", "1.2.3.4/"])
def test_large_hostile_output_is_taken(piece: str) -> None:
    """What is worse than linear does not end within the test's time."""
    text = piece * (1_000_000 // len(piece))
    addresses, paths, _ = read_found(f"addresses\n{text}\nfiles\n{text}")
    assert len(addresses) < 3000
    assert len(paths) <= 200
    assert set(read_resolved(text, ["a"])) <= {"a"}


def test_only_what_must_be_is_resolved() -> None:
    inside = config(claim("mysql", "mysql", 3306), claim("redis", "db.example.com", 6379), project="p")
    plain = config(claim("mysql", "data"), claim("redis", "127.0.0.1"), claim("redis", "10.0.0.1"))
    stale = config(claim("mysql", "old"), in_force=False)
    projects = [Project("p", images={"mysql": ""})]
    assert names_in([inside, plain, stale], projects) == ["db.example.com", "data"]


def host(name: str, *components: str, jobs: tuple[str, ...] = ()) -> FoundHost:
    made = found(name, components, installs=(Install(Kind.CLASSIC, "Koa"),))
    ends = tuple(Running(Instance(c, name, State.UP, "", None), ("supervisor",), False) for c in jobs)
    return FoundHost(name, made.snapshot, True, installs=made.installs, running=(*made.running, *ends))


def site(key: str, name: str) -> Claim:
    return claim("lms", name, key=key)


NGINX_SITES = """
server { listen 443 ssl default_server; server_name _ studio.example.org *.example.org ~^x\\. ; }
server { listen 443; ssl on; server_name "ecommerce.example.org" localhost 192.0.2.1; }
server { listen 18000; server_name plain.example.org; }
"""


def test_the_names_that_nginx_serves_by_tls() -> None:
    names = (
        "_",
        "studio.example.org",
        "*.example.org",
        r"~^x\.",
        "ecommerce.example.org",
        "localhost",
        "192.0.2.1",
    )
    assert names_of_nginx(parse(NGINX_SITES, "/etc/nginx")) == names
    assert names_of_nginx((read_dump(NGINX.read_text()),)) == (), "none of its sites speaks TLS"


def test_sites_are_public_names_lms_first_each_once() -> None:
    names = names_of_nginx(parse(NGINX_SITES, "/etc/nginx"))
    front = found("w1", ("nginx",), configs=(config(upstreams=True, names=names),))
    stale = config(site("LMS_BASE", "old.example.org"), in_force=False)
    local = config(
        site("LMS_BASE", "localhost"), site("CMS_BASE", "studio"), site("ECOMMERCE", "e.example.org")
    )
    own = config(site("CMS_BASE", "studio.example.org"), site("LMS_BASE", "courses.example.org"))
    app = found("a1", ("lms",), configs=(stale, local, own))
    wanted = ("courses.example.org", "studio.example.org", "ecommerce.example.org")
    assert sites_of([front, app]) == wanted
    many = config(upstreams=True, names=tuple(f"s{i}.example.org" for i in range(9)))
    proposal = propose({"a1": app, "w2": found("w2", ("nginx",), configs=(many,))})
    assert (len(proposal.sites), proposal.sites[:2]) == (MAX_SITES, wanted[:2])
    assert proposal.more_sites == ("s6.example.org", "s7.example.org", "s8.example.org")


def test_sites_of_what_tutor_rendered() -> None:
    path = GOLDEN / "env/apps/openedx/config/cms.env.yml"
    claims = claims_of(parse_config(path.read_text(), str(path)), str(path))
    app = found("t1", ("lms",), configs=(config(*claims, project="tutor_local"),))
    assert sites_of([app]) == ("local.openedx.io", "studio.local.openedx.io")


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[A-Za-z0-9.-]{1,40}", fullmatch=True)))
def test_what_is_taken_for_public_can_be_asked_for(name: str) -> None:
    if is_public(name):
        assert check_site(name) == name
        assert "." in name
        assert not address_of(name)
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)


def test_what_is_proposed_is_what_the_loader_reads_back(tmp_path: Path) -> None:
    sites = config(site("LMS_BASE", "Courses.example.org"), site("CMS_BASE", "studio.example.org"))
    hosts = {
        "w1": replace(host("w1", "nginx"), configs=(sites,)),
        "a1": host("a1", "supervisor", "lms", "xqueue", jobs=("xqueue_consumer",)),
        "a2": host("a2", "supervisor", "lms"),
        "d1": host("d1", "mysql", "redis"),
        "gone": FoundHost("gone", None, reason="gone: no route\nexpect: {gone: [lms]}"),
    }
    proposal = propose(hosts, taken={"staff"})
    assert proposal.groups == {"app": ["a1", "a2"], "web": ["w1"], "data": ["d1"]}
    path = tmp_path / "hosts.yaml"
    path.write_text(
        render_hosts(
            {name: {"address": "10.0.0.1"} for name in hosts},
            groups=proposal.groups,
            expect=proposal.expect,
            notes=proposal.notes,
            sites=proposal.sites,
        )
    )
    inventory = load_inventory(path, CATALOG.components)
    assert inventory.sites == ("courses.example.org", "studio.example.org")
    for name, one in hosts.items():
        assert inventory.expected_on(name) == set(one.expected)
    assert inventory.expected_on("gone") == frozenset()
    assert inventory.expected_on("a1") == {"supervisor", "lms", "xqueue"}
    text = path.read_text()
    assert "# not reached, so nothing is expected: gone: no route expect: {gone: [lms]}" in text
    assert "# runs, but may end, so it is not expected: xqueue_consumer" in text


def test_a_group_never_takes_the_name_of_a_host_or_of_a_group_that_is_there() -> None:
    hosts = {"app": host("app", "lms"), "b": host("b", "lms"), "c": host("c", "mysql")}
    proposal = propose(hosts, taken={"data"})
    assert proposal.groups == {}
    assert proposal.expect == {"app": ["lms"], "b": ["lms"], "c": ["mysql"]}
