"""The cluster the other tests look at is a real one."""

from __future__ import annotations

import pytest

from tests.lab.cluster import LabCluster

pytestmark = [pytest.mark.hosts, pytest.mark.root]


def test_the_lms_answers_through_nginx(cluster: LabCluster) -> None:
    status, body = cluster.heartbeat()
    assert status == 200
    assert '"sql": {"status": true' in body


def test_programs_run_as_open_edx_lays_them_out(cluster: LabCluster) -> None:
    running = dict.fromkeys(
        (
            "lms",
            "cms",
            "xqueue",
            "edxapp_worker:lms_default_1",
            "edxapp_worker:cms_default_1",
            "xqueue_consumer",
        ),
        "RUNNING",
    )
    assert cluster.programs(cluster.app1) == running
    assert cluster.programs(cluster.app2) == running | {"xqueue_consumer": "EXITED"}
    owners = cluster.app1.sh("ps -C python -o user= -o args= | grep '[g]unicorn -c'")
    assert {line.split()[0] for line in owners.splitlines()} == {"www-data"}
    assert "/edx/app/edxapp/lms_gunicorn.py lms.wsgi" in owners


def test_nginx_logs_as_open_edx_does(cluster: LabCluster) -> None:
    cluster.heartbeat()
    last = cluster.web.sh("tail -n 1 /edx/var/log/nginx/access.log")
    assert '  "GET /heartbeat HTTP/1.1" 200 ' in last
