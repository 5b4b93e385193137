"""Which component a unit, a process or a port belongs to: names and argv as edX releases had them."""

from __future__ import annotations

import time

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.matching import (
    component_of_port,
    component_of_process,
    component_of_socket,
    component_of_unit,
    is_master,
)
from edxconsole.catalog.model import Catalog

EDXAPP = "/edx/app/edxapp/venvs/edxapp/bin"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize(
    ("kind", "name", "component"),
    [
        ("supervisor", "edxapp:lms", "lms"),
        ("supervisor", "lms", "lms"),
        ("supervisor", "edxapp:cms", "cms"),
        ("supervisor", "edxapp_worker:lms_default_1", "edxapp_worker"),
        ("supervisor", "edxapp_worker:cms_low_3", "edxapp_worker"),
        ("supervisor", "xqueue", "xqueue"),
        ("supervisor", "xqueue_consumer", "xqueue_consumer"),
        ("supervisor", "forum", "forum"),
        ("supervisor", "lmsx", ""),
        ("systemd", "lms", ""),
        ("systemd", "mysql.service", "mysql"),
        ("systemd", "mariadb.service", "mysql"),
        ("systemd", "mongod.service", "mongodb"),
        ("systemd", "rabbitmq-server.service", "rabbitmq"),
        ("systemd", "redis-server.service", "redis"),
        ("systemd", "supervisor.xqwatcher.service", "supervisor"),
        ("systemd", "nginx.service.d", ""),
        ("sysv", "nginx", "nginx"),
        ("compose", "lms-worker", "edxapp_worker"),
        ("nonsense", "lms", ""),
    ],
)
def test_units(catalog: Catalog, kind: str, name: str, component: str) -> None:
    assert component_of_unit(catalog, kind, name) == component


@pytest.mark.parametrize(
    ("argv", "component"),
    [
        (f"{EDXAPP}/python3 {EDXAPP}/gunicorn -c /edx/app/edxapp/lms_gunicorn.py lms.wsgi", "lms"),
        (f"{EDXAPP}/python {EDXAPP}/gunicorn -c /edx/app/edxapp/cms_gunicorn.py cms.wsgi", "cms"),
        (f"{EDXAPP}/gunicorn --preload -b 127.0.0.1:8000 -w 4 --timeout=300 lms.wsgi", "lms"),
        ("gunicorn: master [lms.wsgi]", "lms"),
        ("gunicorn: worker [cms.wsgi:application]", "cms"),
        (
            "/edx/app/xqueue/bin/gunicorn -c /edx/app/xqueue/xqueue_gunicorn.py xqueue.wsgi",
            "xqueue",
        ),
        ("bash /edx/app/edxapp/lms.sh", ""),
        ("tail -f /edx/app/edxapp/lms_gunicorn.py", ""),
        ("vim gunicorn lms.wsgi", ""),
        ("grep gunicorn.*lms_gunicorn.py", ""),
        (
            "python /edx/app/edxapp/edx-platform/manage.py lms --settings=aws celery worker --loglevel=info "
            "--queues=edx.lms.core.default --hostname=edx.lms.core.default.%h --concurrency=3",
            "edxapp_worker",
        ),
        (
            f"{EDXAPP}/python {EDXAPP}/celery --app=lms.celery:APP worker --loglevel=info "
            "--queues=edx.lms.core.high_mem --hostname=edx.lms.core.high_mem.%h --concurrency=1",
            "edxapp_worker",
        ),
        ("/usr/bin/python3 -m celery -A edxtasks worker -l INFO -Q edx.cms.core.low -c 1", "edxapp_worker"),
        ("[celeryd: edx.lms.core.default@app1:MainProcess] -active- (worker)", "edxapp_worker"),
        ("/usr/bin/python3 -m celery -A other worker -Q other.default", ""),
        (
            "/edx/x/python /edx/x/django-admin.py run_consumer --pythonpath=/edx",
            "xqueue_consumer",
        ),
        ("unicorn master -c config/unicorn.rb -I .", "forum"),
        ("unicorn worker[2] -c config/unicorn.rb -I .", "forum"),
        ("/edx/app/certs/venvs/certs/bin/python /edx/app/certs/certificates/certificate_agent.py", "certs"),
        (
            "/usr/lib/erlang/erts-7.3/bin/beam.smp -W w -K true -- -sname rabbit@app1",
            "rabbitmq",
        ),
        ("/usr/lib/erlang/erts-7.3/bin/beam.smp -- -sname ejabberd", ""),
        ("/usr/bin/mongod --config /etc/mongod.conf", "mongodb"),
        ("/usr/sbin/mysqld", "mysql"),
        ("/usr/sbin/mariadbd", "mysql"),
        ("/bin/sh /usr/bin/mysqld_safe", ""),
        ("/usr/bin/memcached -m 64 -p 11211 -u memcache", "memcached"),
        ("/usr/bin/redis-server 127.0.0.1:6379", "redis"),
        ("/usr/bin/java -Xms512m -cp x org.elasticsearch.bootstrap.Elasticsearch -d", "elasticsearch"),
        ("nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", "nginx"),
        ("nginx: worker process", "nginx"),
        (
            "/edx/app/supervisor/bin/python /edx/app/supervisor/bin/supervisord "
            "--configuration /edx/app/supervisor/supervisord.conf",
            "supervisor",
        ),
        ("", ""),
    ],
)
def test_processes(catalog: Catalog, argv: str, component: str) -> None:
    assert component_of_process(catalog, "x", argv.split(" ")) == component


def test_a_process_without_argv_is_known_by_its_name(catalog: Catalog) -> None:
    assert component_of_process(catalog, "mysqld", ()) == "mysql"
    assert component_of_process(catalog, "kthreadd", ()) == ""


def test_the_master_is_never_a_wrapper_or_a_titled_worker(catalog: Catalog) -> None:
    assert is_master(catalog, "lms", ["gunicorn: master [lms.wsgi]"])
    assert is_master(catalog, "lms", f"{EDXAPP}/python3 gunicorn -c lms_gunicorn.py lms.wsgi".split())
    assert not is_master(catalog, "lms", ["gunicorn: worker [lms.wsgi]"])
    assert not is_master(catalog, "lms", ["bash", "/edx/app/edxapp/lms.sh"])
    assert not is_master(catalog, "lms", ["gunicorn: master [cms.wsgi]"])
    assert not is_master(catalog, "mysql", ["mysqld"])


def test_ports_and_sockets(catalog: Catalog) -> None:
    assert component_of_port(catalog, 8000) == "lms"
    assert component_of_port(catalog, 18000) == "nginx"
    assert component_of_port(catalog, 22) == ""
    assert component_of_socket(catalog, "/edx/var/supervisor/supervisor.sock") == "supervisor"
    assert component_of_socket(catalog, "/edx/var/supervisor/supervisor.sock.123") == "supervisor"
    assert component_of_socket(catalog, "/run/other.sock") == ""


def test_a_long_argv_costs_little(catalog: Catalog) -> None:
    """A hostile process can't make the regular expressions explode."""
    began = time.perf_counter()
    for word in (
        "python -a ",
        "gunicorn ",
        "celery worker -Q",
        "a/",
        "-",
        "beam rabbi",
        "java x",
        "ruby ",
        "=/",
    ):
        argv = (word * 3000).split(" ")
        component_of_process(catalog, "x", argv)
        is_master(catalog, "lms", ["gunicorn", *argv])
    assert time.perf_counter() - began < 5


def test_two_catalogs_do_not_mix(catalog: Catalog) -> None:
    empty = Catalog(components={})
    assert component_of_port(empty, 8000) == ""
    assert component_of_port(catalog, 8000) == "lms"
