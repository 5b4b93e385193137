"""Secrets in arguments never leave the host; what looks alike but is none stays readable."""

from __future__ import annotations

from typing import Any

import pytest

from edxconsole.probe.launcher import AGENT, source

SECRET = "s3cr3t-W0rd"


@pytest.fixture(scope="module")
def agent() -> dict[str, Any]:
    """The agent's names, without starting it."""
    names: dict[str, Any] = {"__name__": "agent"}
    exec(compile(b"".join(source(name) for name in AGENT), "agent", "exec"), names)
    return names


@pytest.mark.parametrize(
    "argv",
    [
        ["celery", "--broker", f"amqp://celery:{SECRET}@10.0.0.4:5672//", "worker"],
        ["celery", f"--broker=amqp://celery:{SECRET}@10.0.0.4:5672//"],
        ["celery", f"--broker=redis://:{SECRET}@r:6379/0"],
        ["x", f"https://{SECRET}@sentry.example.org/3"],
        ["x", f"mongodb://u:p/{SECRET}@x@db1,db2/edxapp"],
        ["mysql", "-uroot", f"-p{SECRET}", "edxapp"],
        ["mysql", "-u", "root", f"--password={SECRET}"],
        ["/usr/bin/mongo", "-u", "admin", "-p", SECRET],
        ["sshpass", "-p", SECRET, "ssh", "h"],
        ["sshpass", f"-p{SECRET}", "ssh", "h"],
        ["supervisorctl", "-u", "ops", "-p", SECRET, "status"],
        ["manage.py", "--password", SECRET],
        ["manage.py", "--db-passwd", SECRET],
        ["job", f"AWS_SECRET_ACCESS_KEY={SECRET}"],
        ["job", f"SECRET_KEY={SECRET}"],
        ["job", f"PROFILE_IMAGE_HASH_SEED={SECRET}"],
        ["job", f"--api-key={SECRET}"],
        ["job", "--access-token", SECRET],
        ["redis-server", "--requirepass", SECRET],
        ["redis-cli", "-a", SECRET],
        ["rabbitmqctl", "add_user", "edx", SECRET],
        ["rabbitmqctl", "change_password", "edx", SECRET],
        ["beam.smp", "-setcookie", SECRET],
        ["curl", "-u", f"ops:{SECRET}", "http://h/"],
        ["curl", f"-uops:{SECRET}", "http://h/"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}", "http://h/"],
        ["curl", "-H", f"X-Api-Key: {SECRET}"],
        ["curl", "-d", f'{{"user": "a", "password": "{SECRET}"}}'],
        ["java", f"-Djavax.net.ssl.keyStorePassword={SECRET}"],
        ["flower", f"--basic_auth=admin:{SECRET}"],
        ["sh", "-c", f"mysql -u root -p{SECRET} -e 'select 1'"],
        ["sh", "-c", f"exec mysqldump --single-transaction -u root -p{SECRET} edxapp"],
        ["sh", "-c", f"DB_PASSWORD='{SECRET}' exec run"],
        ["sh", "-c", f"mongo -u a -p {SECRET} x"],
        ["sh", "-c", f"foo --password {SECRET} bar"],
        [f"gunicorn: master [x] --token={SECRET}"],
        ["ldapsearch", "-w", SECRET],
        ["x", f"JWT_PRIVATE_SIGNING_KEY={SECRET}"],
        ["x", "--password", "--token", SECRET],
    ],
    ids=" ".join,
)
def test_masked(agent: dict[str, Any], argv: list[str]) -> None:
    masked = agent["mask_argv"](argv)
    assert SECRET not in " ".join(masked)
    assert "***" in " ".join(masked)
    assert len(masked) == len(argv)
    assert masked[0].split(":")[0] == argv[0].split(":")[0]


@pytest.mark.parametrize(
    "argv",
    [
        ["nginx: master process /usr/sbin/nginx -g daemon on;"],
        [
            "/edx/app/edxapp/venvs/edxapp/bin/python",
            "manage.py",
            "lms",
            "--settings=production",
            "celery",
            "worker",
        ],
        ["memcached", "-m", "64", "-p", "11211", "-u", "memcache", "-l", "127.0.0.1"],
        ["ssh", "-p", "2222", "ops@web1"],
        ["mkdir", "-p", "/edx/var/log"],
        ["celery", "--queues=edx.lms.core.high", "--hostname=edx.lms.core.high.%h"],
        ["mongod", "--keyFile", "/etc/mongodb_key"],
        ["gunicorn", "--keyfile=/etc/ssl/private/x.pem", "lms.wsgi"],
        ["x", "--routing_key=edx.lms.core"],
        ["curl", "http://127.0.0.1:8000/heartbeat?x=a"],
        ["supervisord", "-c", "/edx/app/supervisor/supervisord.conf"],
        ["x", "KEY_PREFIX=lms", "KEY_FUNCTION=x.y"],
    ],
    ids=" ".join,
)
def test_left_alone(agent: dict[str, Any], argv: list[str]) -> None:
    assert agent["mask_argv"](argv) == argv


def test_user_and_host_of_a_url_differ(agent: dict[str, Any]) -> None:
    masked = agent["mask_argv"](["celery", f"--broker=amqp://celery:{SECRET}@10.0.0.4:5672//"])
    assert masked == ["celery", "--broker=amqp://***@10.0.0.4:5672//"]


def test_long_arguments_are_bounded_and_keep_their_end(agent: dict[str, Any]) -> None:
    argv = [
        "java",
        *(f"-Dx{i}={'y' * 90}" for i in range(200)),
        "z" * 5000,
        "org.elasticsearch.bootstrap.Elasticsearch",
    ]
    bounded = agent["bound_argv"](argv)
    assert sum(map(len, bounded)) < 4600
    assert bounded[0] == "java"
    assert bounded[-1] == "org.elasticsearch.bootstrap.Elasticsearch"
    assert "..." in bounded
