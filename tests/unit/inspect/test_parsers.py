"""The small parsers: Erlang terms, mysql's output, supervisord's files and log, gunicorn's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.erlang_terms import as_mapping, read_term
from edxconsole.inspect.gunicorn import connections_of
from edxconsole.inspect.gunicorn_config import of_command_line, read_settings
from edxconsole.inspect.masking import is_secret, mask_argv, mask_text
from edxconsole.inspect.mysql_output import read_results, read_vertical
from edxconsole.inspect.rabbitmq import of_status, of_terms, read_rows
from edxconsole.inspect.reads import QUEUE_COLUMNS
from edxconsole.inspect.resp import read_info
from edxconsole.inspect.supervisor_files import environment_names, includes, programs
from edxconsole.inspect.supervisor_log import read_past

GOLDEN = Path(__file__).with_name("golden")
"""recorded from the programs and versions that the files' names say"""
PARSERS: dict[str, Callable[[str], object]] = {
    "erlang": read_term,
    "rabbitmq status": lambda text: of_terms(text, "x"),
    "rabbitmq rows": lambda text: read_rows(text, ("a", "b")),
    "mysql": read_results,
    "mysql vertical": read_vertical,
    "supervisor includes": lambda text: includes(text, "/etc/s.conf"),
    "supervisor programs": lambda text: programs(text, "/etc/s.conf", (3, 2, 3)),
    "supervisor log": read_past,
    "environment": environment_names,
    "gunicorn": lambda text: read_settings(text, 4),
    "command line": lambda text: of_command_line(text.split()),
    "redis info": read_info,
    "connections": connections_of,
    "mask": lambda text: mask_argv(text.split()),
}
PIECES = st.sampled_from(
    [
        *"[]{}<>,.'\"\\%=:;#\n\t ab09",
        "<<", "{a,1}", "'x'", "[program:x]\n", "[include]\nfiles=a b\n", "key=v\n",
        "EDXCONSOLE\tx\n", "NULL\t", "*** 1. row ***\n", "workers = 4\n", "cpu_count()", "-b",
        "--workers=", "\0",
        "2026-11-23 05:00:00,123 INFO spawned: 'lms' with pid 7\n", "amqp://u:p@h/",
    ]
)  # fmt: skip


def outcome(read: Callable[[], object]) -> object:
    """What it reads, or the sentence with which it refuses."""
    try:
        return read()
    except NotUnderstood as error:
        return error.cause


@pytest.mark.parametrize("name", PARSERS)
@given(text=st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=150))
def test_nothing_is_raised_but_our_error(name: str, text: str) -> None:
    assert outcome(lambda: PARSERS[name](text)) is not None


@pytest.mark.parametrize(
    "piece", ["[", "{", '"', "'", "<<", "\\", "a,", "((", "x = ", "a\t", "-", "1+", "://", "\n"]
)
@pytest.mark.parametrize("name", PARSERS)
def test_large_hostile_input_is_read_or_refused(name: str, piece: str) -> None:
    text = piece * (250_000 // len(piece))
    begin = "[" if name in ("erlang", "rabbitmq status") else ""
    assert outcome(lambda: PARSERS[name](begin + text)) is not None


STATUS_36 = r"""Status of node rabbit@mq ...
[{pid,1087},
 {running_applications,
     [{rabbitmq_management,"RabbitMQ Management Console","3.6.9"},
      {rabbit,"RabbitMQ","3.6.9"},{kernel,"ERTS  CXC 138 10","5.2"}]},
 {erlang_version,"Erlang/OTP 19 [erts-8.3] [source] [64-bit]\n"},
 {memory,[{total,56066752},{queue_procs,268248}]},
 {alarms,[disk]},{listeners,[{clustering,25672,"::"},{amqp,5672,"::"}]},
 {vm_memory_high_watermark,0.4},{vm_memory_limit,411294105},
 {disk_free_limit,50000000},{disk_free,13270233088},
 {file_descriptors,[{total_limit,924},{total_used,6}]},
 {uptime,43651},{kernel,{net_ticktime,60}}]
"""
"""in the shape 3.6 prints"""


def test_the_terms_of_an_old_rabbitmq() -> None:
    node = of_terms(STATUS_36, "rabbitmqctl status")
    assert (node.version, node.erlang, node.uptime) == ("3.6.9", "Erlang/OTP 19", 43651)
    assert (node.memory, node.memory_limit, node.alarms) == (56066752, 411294105, ("disk",))
    assert (node.disk_free, node.disk_limit, node.files, node.files_limit) == (13270233088, 50000000, 6, 924)


def test_a_recorded_status_says_the_same_in_json_and_in_terms() -> None:
    json_text, terms = ((GOLDEN / f"rabbitmqctl-status-3.10.8.{x}").read_text() for x in ("json", "erl"))
    one, two = of_status(json.loads(json_text), "x"), of_terms(terms, "x")
    assert (one.version, one.erlang, one.alarms) == (two.version, two.erlang, two.alarms)
    assert (one.version, one.erlang, one.alarms) == ("3.10.8", "Erlang/OTP 25", ())
    assert (one.memory_limit, one.disk_limit) == (two.memory_limit, two.disk_limit) == (10110600806, 50000000)
    assert (one.files_limit, two.files_limit) == (927, 927)
    assert one.memory is not None
    assert two.memory is not None


def test_recorded_lists_of_rabbitmq_and_mysql() -> None:
    rows = read_rows((GOLDEN / "rabbitmqctl-list_queues-3.10.8.txt").read_text(), QUEUE_COLUMNS)
    assert rows[0] == ["edx.lms.core.default", "0", "0", "2", "55872", "running"]
    assert len(rows) == 6
    found = read_results((GOLDEN / "mysql-batch-mariadb-10.11.19.txt").read_text())
    assert set(found) == {"status", "settings", "databases", "threads"}
    assert {"Variable_name": "max_connections", "Value": "151"} in found["settings"]
    assert {r["name"]: r["tables"] for r in found["databases"]}["sys"] == "101"
    assert set(found["threads"][0]) == {"user", "db", "command", "state", "threads", "longest"}


@pytest.mark.parametrize("version", ["5.10.0", "6.1.0", "6.15.0", "7.2.0"])
def test_connections_as_ss_of_several_iproute2_tells_them(version: str) -> None:
    """Recorded with three connections over IPv4 and one over IPv6, one of them with 1,234 bytes unread."""
    assert connections_of((GOLDEN / f"ss-established-{version}.txt").read_text()) == 4


def test_erlang_terms() -> None:
    text = r"""Listing ... [{a,<<"b\"c">>},{'rabbit@x',[1,-2.5e3]},{p,<0.12.0>}]"""
    assert as_mapping(read_term(text.partition("Listing ... ")[2])) == {
        "a": 'b"c',
        "rabbit@x": [1, -2500.0],
        "p": "<0.12.0>",
    }
    with pytest.raises(NotUnderstood):
        read_term("[{a,1)]")


def test_rows_with_and_without_a_header() -> None:
    new = "name\tconsumers\nedx.lms.core.default\t1\n"
    old = "edx.lms.core.default\t1\n"
    assert read_rows(new, ("name", "consumers")) == read_rows(old, ("name", "consumers"))
    assert read_rows("Timeout: 60.0 seconds ...\nListing queues ...\n" + old, ("n", "c")) == [
        ["edx.lms.core.default", "1"]
    ]


def test_results_of_mysql() -> None:
    text = (
        "EDXCONSOLE\tstatus\nEDXCONSOLE\tstatus\nVariable_name\tValue\nUptime\t12\n"
        "EDXCONSOLE\tempty\nEDXCONSOLE\tempty\n"
        "EDXCONSOLE\tdbs\nEDXCONSOLE\tdbs\nname\tdata\nedx\\tapp\\\\n\tNULL\n"
    )
    assert read_results(text) == {
        "status": [{"Variable_name": "Uptime", "Value": "12"}],
        "empty": [],
        "dbs": [{"name": "edx\tapp\\n", "data": None}],
    }
    rows = read_vertical("*** 1. row ***\n  Slave_IO_Running: Yes\n    Last_SQL_Error: Error 'x: y'\n")
    assert rows == [{"Slave_IO_Running": "Yes", "Last_SQL_Error": "Error 'x: y'"}]


SUPERVISORD = """
[include]
files = %(here)s/conf.d/*.conf /abs/*.ini
[program:lms]
command=/edx/app/edxapp/lms.sh  ; started by hand
environment=SERVICE_VARIANT="lms",KEY="a,B=secret",NEW_RELIC_LICENSE_KEY=abc
stopwaitsecs=20
stopwaitsecs=30
[program:lms_default_1]
command=celery
startretries=7
[group:edxapp_worker]
programs=lms_default_1, cms_default_1
"""


def test_programs_as_the_files_give_them() -> None:
    assert includes(SUPERVISORD, "/edx/s/supervisord.conf") == ["/edx/s/conf.d/*.conf", "/abs/*.ini"]
    found = programs(SUPERVISORD, "/edx/s/supervisord.conf", (3, 2, 3))
    assert found["lms"]["command"] == "/edx/app/edxapp/lms.sh"
    assert (found["lms"]["stopwaitsecs"], found["lms"]["exitcodes"]) == ("30", "0,2")
    assert found["lms"]["environment"] == "SERVICE_VARIANT, KEY, NEW_RELIC_LICENSE_KEY"
    assert "secret" not in str(found)
    assert (found["lms_default_1"]["group"], found["lms_default_1"]["startretries"]) == ("edxapp_worker", "7")
    assert programs(SUPERVISORD, "/s", (4, 2, 1))["lms"]["exitcodes"] == "0"


def test_the_past_of_a_program() -> None:
    text = "\n".join(
        [
            "2026-11-23 05:00:00,001 INFO spawned: 'cms' with pid 11",
            "2026-11-23 05:00:03,001 WARN exited: cms (exit status 1; not expected)",
            "2026-11-23 05:00:04,001 INFO spawned: 'cms' with pid 12",
            "2026-11-23 05:00:05,001 INFO gave up: cms entered FATAL state, too many start retries",
        ]
    )
    past, since = read_past(text)
    assert since == datetime(2026, 11, 23, 5, 0, 0)
    assert past["cms"].starts_within(datetime(2026, 11, 23, 5, 0, 4), 2.0) == 1
    assert past["cms"].last_end == "2026-11-23 05:00:03: exit status 1; not expected"
    assert past["cms"].gave_up


EDX_GUNICORN = '''
"""gunicorn configuration file"""
import multiprocessing
preload_app = False
timeout = 300
bind = "127.0.0.1:8000"
pythonpath = "/edx/app/edxapp/edx-platform"
workers = (multiprocessing.cpu_count()-1) * 4 + 4
max_requests = compute()
def pre_request(worker, req):
    worker.log.info("%s %s" % (req.method, req.path))
'''


def test_settings_of_gunicorn() -> None:
    found = read_settings(EDX_GUNICORN, cores=2)
    assert (found["workers"], found["timeout"], found["preload_app"]) == (8, 300, False)
    assert found["max_requests"] is None
    assert read_settings(EDX_GUNICORN, cores=None)["workers"] is None
    line = "python gunicorn --preload -b 127.0.0.1:8000 -w 3 --timeout=300 -t9 -c /etc/g.py lms.wsgi"
    assert of_command_line(line.split()) == {
        "preload_app": True,
        "bind": "127.0.0.1:8000",
        "workers": 3,
        "timeout": 9,
        "config": "/etc/g.py",
    }


@pytest.mark.parametrize(
    "text", ["workers = 9**9**9", "workers = [1]*10**10", "workers = 'a'*10**10", "workers = 1e308*10*10"]
)
def test_settings_that_would_cost_are_not_computed(text: str) -> None:
    assert read_settings(text, 4) == {"workers": None}


def test_secrets_are_masked() -> None:
    line = (
        "flower --broker=amqp://celery:s3cret@h:5672// --basic_auth=u:s3cret mysql -ps3cret --password s3cret"
    )
    shown = " ".join(mask_argv(line.split()))
    assert "s3cret" not in shown
    assert "flower" in shown
    assert mask_argv(["mysql", "-ps3cret", "-u", "x"]) == ["mysql", "-p***", "-u", "x"]
    assert mask_text("redis://:s3cret@h/0") == "redis://***@h/0"
    assert [is_secret(k) for k in ("NEW_RELIC_LICENSE_KEY", "DB_PASSWORD", "pidfile", "keepalive")] == [
        True, True, False, False,
    ]  # fmt: skip
