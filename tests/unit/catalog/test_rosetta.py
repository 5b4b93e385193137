"""Every row of domain.md 1.2, 1.3, 2 and 6 is in the catalog, told whole, and at odds with nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.matching import component_of_port, component_of_unit
from edxconsole.catalog.model import Component
from tests.unit.catalog.argv_by_release import DOGWOOD_WORKERS, IRONWOOD_WORKERS, OLD_WORKERS

CATALOG = load_catalog()
ALL = list(CATALOG.components.values())
# In one order in every process: xdist's workers must collect the same tests.
WORKER_NAMES = sorted(
    f"edxapp_worker:{variant}_{queue}_{count}"
    for variant, queue, count in {*OLD_WORKERS, *DOGWOOD_WORKERS, *IRONWOOD_WORKERS}
)

SUPERVISOR = {
    "lms": "lms", "cms": "cms", "edxapp:lms": "lms", "edxapp:cms": "cms",
    **dict.fromkeys(WORKER_NAMES, "edxapp_worker"),
    "celerybeat_scheduler": "celery_beat", "edxapp_worker:celerybeat_scheduler": "celery_beat",
    "xqueue": "xqueue", "xqueue_consumer": "xqueue_consumer", "xqwatcher": "xqwatcher", "forum": "forum",
    "certs": "certs", "notifier-celery-workers": "notifier", "notifier-scheduler": "notifier",
    "analytics_api": "analytics_api", "analytics-api": "analytics_api", "insights": "insights",
    "edx_notes_api": "edx_notes_api", "ecommerce": "ecommerce", "ecomworker": "ecomworker",
    "programs": "programs", "credentials": "credentials", "discovery": "discovery",
    "course_discovery": "discovery", "registrar": "registrar", "designer": "designer",
    "blockstore": "blockstore", "enterprise_catalog": "enterprise_catalog",
    "license_manager": "license_manager", "commerce_coordinator": "commerce_coordinator",
    "registrar_workers:registrar.default_1": "ida_worker",
    "enterprise_catalog_workers:enterprise_catalog.default_1": "ida_worker",
    "license_manager_workers:license_manager.default_1": "ida_worker",
    "discovery_workers:discovery.default_1": "ida_worker",
    "commerce_coordinator_workers:commerce_coordinator.default_1": "ida_worker",
    "flower": "flower", "gitreload": "gitreload", "nobody_workers:x_1": "", "lms_default_1": "",
}  # fmt: skip
SYSTEMD = {
    "nginx": "nginx", "mysql": "mysql", "mongod": "mongodb", "mongodb": "mongodb", "memcached": "memcached",
    "rabbitmq-server": "rabbitmq", "redis-server": "redis", "elasticsearch": "elasticsearch",
    "postfix": "postfix", "postfix@-": "postfix", "rsyslog": "rsyslog", "cron": "cron", "ntp": "ntp",
    "supervisor": "supervisor", "supervisor.xqwatcher": "supervisor", "supervisor.devpi": "supervisor",
}  # fmt: skip
TUTOR = {
    "caddy": "caddy", "lms": "lms", "cms": "cms",
    "lms-worker": "edxapp_worker", "cms-worker": "edxapp_worker",
    "mysql": "mysql", "mongodb": "mongodb", "redis": "redis", "meilisearch": "meilisearch", "smtp": "smtp",
    "permissions": "permissions", "lms-job": "tutor_job", "cms-job": "tutor_job", "mysql-job": "tutor_job",
    "mfe": "mfe", "discovery": "discovery", "notes": "edx_notes_api", "xqueue": "xqueue",
    "xqueue-consumer": "xqueue_consumer", "credentials": "credentials", "ecommerce": "ecommerce",
    "ecommerce-worker": "ecomworker", "minio": "minio", "elasticsearch": "elasticsearch", "forum": "forum",
    "nginx": "nginx", "memcached": "memcached", "rabbitmq": "rabbitmq",
}  # fmt: skip
PORTS = {
    "lms": 8000, "cms": 8010, "xqueue": 8040, "gitreload": 8095, "analytics_api": 8100, "insights": 8110,
    "edx_notes_api": 8120, "ecommerce": 8130, "programs": 8140, "credentials": 8150, "discovery": 8381,
    "registrar": 8734, "designer": 8808, "blockstore": 8250, "enterprise_catalog": 8160,
    "license_manager": 18170, "commerce_coordinator": 18170, "flower": 5555, "mysql": 3306,
    "mongodb": 27017, "memcached": 11211, "rabbitmq": 5672, "redis": 6379, "elasticsearch": 9200,
}  # fmt: skip
TLS = {"xqueue": 18041, "insights": 18113, "gitreload": None}
"""TLS sites that do not follow the rule; gitreload has none"""
NO_SITE = {"license_manager", "commerce_coordinator"}
"""their own port is 18170: 1P and 4P would be no ports"""
FORMATS = {
    "plain", "edx_console", "edx_syslog", "tracking", "gunicorn", "celery", "ruby", "nginx_access",
    "nginx_error", "supervisord", "mysqld", "mongod", "rabbitmq", "redis", "elasticsearch", "syslog",
    "uwsgi", "caddy",
}  # fmt: skip

every = pytest.mark.parametrize("component", ALL, ids=lambda c: c.id)


@pytest.mark.parametrize(("name", "component"), SUPERVISOR.items())
def test_programs_of_supervisor(name: str, component: str) -> None:
    assert component_of_unit(CATALOG, "supervisor", name) == component


@pytest.mark.parametrize(("name", "component"), SYSTEMD.items())
def test_units_of_systemd(name: str, component: str) -> None:
    assert component_of_unit(CATALOG, "systemd", f"{name}.service") == component


@pytest.mark.parametrize(("name", "component"), TUTOR.items())
def test_services_of_tutor(name: str, component: str) -> None:
    assert component_of_unit(CATALOG, "compose", name) == component
    assert component_of_unit(CATALOG, "docker", name) == component
    assert CATALOG.components[component].tutor is not None
    assert CATALOG.components[component].family in ("tutor", "both")


def test_nothing_is_in_the_catalog_that_no_table_has() -> None:
    assert set(CATALOG.components) == {*SUPERVISOR.values(), *SYSTEMD.values(), *TUTOR.values()} - {""}


def test_every_worker_name_of_every_release_is_told() -> None:
    assert {a.name for a in CATALOG.components["edxapp_worker"].aliases} == set(WORKER_NAMES)


@every
def test_it_is_told_whole(component: Component) -> None:
    for text in (component.what, component.breaks):
        assert text.endswith(".")
        assert len(text) < 130
    assert component.source
    assert component.first_log
    managers, signature = component.managers, component.signature
    assert managers.supervisor or managers.systemd or (managers.compose and component.tutor)
    told_apart_by_label = {"mfe", "tutor_job"}
    assert signature.known() != (component.id in told_apart_by_label)
    for verb in ("start", "stop", "restart", "reload"):
        assert getattr(component.actions, verb) is not None, verb
    if component.family != "tutor":
        assert component.user
        assert component.configs
        assert component.logs or "/var/log/syslog" in component.first_log
    assert (component.tutor is not None) == bool(managers.compose) == (component.family != "classic")
    own = component.tutor.logs if component.tutor else ()
    formats = {log.format for log in (*component.logs, *own)}
    assert formats | ({component.tutor.stdout} if component.tutor else set()) <= FORMATS


@every
def test_what_takes_requests_says_how_it_is_checked(component: Component) -> None:
    """Postfix has no check: it would write a line into mail.log for each."""
    if any(x.required for x in component.listeners):
        assert component.health
    if component.signature.wsgi:
        assert component.workers is not None


@every
def test_nothing_starts_before_what_it_needs(component: Component) -> None:
    for needed in (*component.depends, *(component.tutor.depends if component.tutor else ())):
        assert CATALOG.components[needed].start_order < component.start_order, needed


def test_the_order_of_a_cold_start() -> None:
    """domain.md 5.4."""
    waves = (
        ("rsyslog", "mysql", "mongodb", "elasticsearch", "memcached", "redis", "rabbitmq", "meilisearch"),
        ("xqueue", "forum"), ("lms", "cms"), ("edxapp_worker", "celery_beat"),
        ("discovery", "ecommerce", "credentials", "edx_notes_api", "analytics_api", "insights", "ida_worker"),
        ("xqueue_consumer", "certs", "xqwatcher", "notifier"), ("nginx",),
    )  # fmt: skip
    orders = [[CATALOG.components[c].start_order for c in wave] for wave in waves]
    for earlier, later in pairwise(orders):
        assert max(earlier) < min(later)
    assert max(ALL, key=lambda c: c.start_order).id == "nginx"


@pytest.mark.parametrize(("component", "port"), PORTS.items())
def test_ports_are_those_of_the_table(component: str, port: int) -> None:
    assert port in {x.port for x in CATALOG.components[component].listeners if x.required}


def test_gunicorn_on_p_has_its_site_on_1p_and_its_tls_site_on_4p() -> None:
    sites = {x.port for x in CATALOG.components["nginx"].listeners}
    served = [c for c in ALL if c.signature.wsgi]
    assert {c.id for c in served} == set(PORTS) & {c.id for c in served}
    for component in served:
        (own,) = component.listeners
        assert own.address == "127.0.0.1"
        if component.id in NO_SITE:
            continue
        tls = TLS.get(component.id, int(f"4{own.port}"))
        assert int(f"1{own.port}") in sites, component.id
        assert tls is None or tls in sites, component.id
    assert {80, 443, 18020, 18080, 18090, 19010} <= sites


def test_a_port_of_two_components_tells_nothing() -> None:
    assert component_of_port(CATALOG, 18170) == ""
    assert component_of_port(CATALOG, 8734) == "registrar"


def test_a_log_of_a_program_is_in_the_globs_of_its_own_component_only() -> None:
    for name, component in ((n, c) for n, c in SUPERVISOR.items() if c):
        path = f"/edx/var/log/supervisor/{name.rpartition(':')[2]}-stderr.log"
        owners = {c.id for c in ALL for log in c.logs if fnmatchcase(path, log.path)}
        assert owners <= {component}, path


def test_no_log_is_written_by_two_components() -> None:
    paths = [log.path for c in ALL for log in c.logs]
    assert len(paths) == len(set(paths))


def test_what_ends_by_itself_is_no_alarm_and_everything_else_is() -> None:
    assert {c.id for c in ALL if c.normal_exit} == {"xqueue_consumer", "permissions", "tutor_job"}


def test_workers_get_the_time_that_tasks_take() -> None:
    for name in ("edxapp_worker", "ecomworker"):
        tutor = CATALOG.components[name].tutor
        assert tutor is not None
        assert tutor.grace >= 300, "Docker's 10 s are too short for a warm shutdown"


def test_what_runs_with_preload_is_not_reloaded_by_a_hup() -> None:
    for name in ("xqueue", "edx_notes_api", "gitreload"):
        reload = CATALOG.components[name].actions.reload
        assert reload is not None
        assert reload.method == "none"
