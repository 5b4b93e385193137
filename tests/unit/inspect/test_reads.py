"""An inspector can run what is listed, and nothing that changes a host."""

from __future__ import annotations

import pytest

from edxconsole.inspect import reads
from edxconsole.inspect.finding import FINDING
from edxconsole.inspect.reads import is_read
from edxconsole.inspect.rights import rights_of
from tests.unit.inspect.stage import CATALOG, Stage, sight

CHANGES = (
    "nginx -T",
    "/usr/sbin/nginx -s stop",
    "/usr/sbin/nginx -T -c /tmp/evil.conf",
    "/tmp/nginx -T",
    "/usr/sbin/rabbitmqctl stop",
    "/usr/sbin/rabbitmqctl -q purge_queue celery",
    "/usr/sbin/rabbitmqctl eval x",
    "/usr/sbin/rabbitmqctl -q list_queues -p --eval " + " ".join(reads.QUEUE_COLUMNS),
    "/usr/bin/mysql -e DROP",
    "/usr/bin/mysql --batch --connect-timeout=5 -e DROP",
    "/usr/bin/mysql --defaults-file=/tmp/x --batch --connect-timeout=5 -e SHOW",
    "sh -c true",
    "rm -rf /",
    "date -s 2020-01-01",
    "ss -K state established sport = :80",
    "head -c 5 --follow /etc/x",
    "systemctl restart nginx",
    "systemctl cat --no-pager -- --now",
    "systemctl cat --no-pager -- nginx;reboot",
    "systemctl edit --no-pager -- nginx.service",
    "/usr/bin/dpkg-query -W -f ${Status}\\t${Package}\\t${Version}\\n --admindir=/tmp",
    "/usr/bin/dpkg -r nginx",
    "/usr/bin/rpm -q --qf x nginx",
    "/usr/bin/rpm -e nginx",
)


@pytest.mark.parametrize("line", CHANGES)
async def test_what_is_not_listed_is_refused_before_it_is_sent(stage: Stage, line: str) -> None:
    assert not is_read(line.split())
    with pytest.raises(ValueError, match="no inspector may run"):
        await sight(stage).run(line.split())
    assert stage.ran == []


@pytest.mark.parametrize(
    "argv", [(*reads.UNIT_FILES, "redis-server@a.service"), (*reads.DPKG, "nginx", "g++")]
)
def test_what_is_listed_may_be_run(argv: tuple[str, ...]) -> None:
    assert is_read(argv)


def test_every_sudo_rule_is_for_something_that_is_run() -> None:
    rights = [right for component in CATALOG.components.values() for right in rights_of(component)]
    assert {"nginx", "rabbitmqctl", "mysql"} <= {right.argv[0].rpartition("/")[2] for right in rights}
    for right in rights:
        argv = right.argv if right.argv[0] != "/usr/bin/head" else ("head", *right.argv[1:])
        assert is_read(argv), argv


def test_no_statement_writes() -> None:
    said = " ".join((reads.STATEMENTS, *reads.REPLICATION)).upper()
    for part in said.split(";"):
        assert part.split()[:1] in ([], ["SELECT"], ["SHOW"])
    assert "INTO" not in said.split()


def test_no_script_writes() -> None:
    for script in reads.SCRIPTS | FINDING:
        assert ">" not in script.replace(">&2", "")
