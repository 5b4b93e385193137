"""What hosts write, read into facts: supervisord.conf, sudo -n -l, systemctl show, init scripts' status."""

from __future__ import annotations

import pytest

from edxconsole.cluster.units import Identity, UnitHealth
from edxconsole.services.sudo import allowed, rule
from edxconsole.services.supervisor_config import parse, parse_endpoint, parse_tcp
from edxconsole.services.supervisor_posture import can_signal, has_cve_2017_11610, parse_version
from edxconsole.services.systemd_units import once, parse_show, to_unit, unescape_path, wanted
from edxconsole.services.sysv_status import parse as parse_sysv
from edxconsole.transport.base import TcpEndpoint, UnixEndpoint

EDX_CONF = """
; the stock configuration of openedx/configuration
[unix_http_server]
file=/edx/var/supervisor/supervisor.sock   ; path to your socket file
chmod=0700
[inet_http_server]
port=127.0.0.1:9001
[supervisord]
environment=NEW_RELIC_LICENSE_KEY="%(ENV_KEY)s"
[include]
files = /edx/app/supervisor/conf.d/*.conf
"""


def test_the_stock_configuration_of_edx() -> None:
    config = parse(EDX_CONF, "/edx/app/supervisor/supervisord.conf")
    assert config.unix == UnixEndpoint("/edx/var/supervisor/supervisor.sock")
    assert config.tcp == TcpEndpoint("127.0.0.1", 9001)
    assert (config.unix_auth, config.tcp_auth) == (None, None)


def test_passwords_are_read_and_never_shown() -> None:
    text = "[inet_http_server]\nport=*:9001\nusername=ed\npassword=s3cret;x\n"
    text += "[unix_http_server]\nfile=%(here)s/s\n"
    config = parse(text, "/etc/supervisor/supervisord.conf")
    assert config.tcp_auth is not None
    assert config.tcp_auth.header == "Basic ZWQ6czNjcmV0O3g="
    assert config.unix == UnixEndpoint("/etc/supervisor/s")
    assert "s3cret" not in repr(config)


def test_a_digest_is_no_password() -> None:
    config = parse("[unix_http_server]\nfile=/s\nusername=u\npassword={SHA}82ab8\n", "/x")
    assert config.unix_auth is not None
    assert config.unix_auth.hashed


@pytest.mark.parametrize("text", ["", "not an ini file", "[unix_http_server\nfile=/x", "\0\0[x]"])
def test_a_broken_configuration_is_none(text: str) -> None:
    assert parse(text, "/x").tcp is None


def test_endpoints() -> None:
    assert parse_endpoint("unix:/a b.sock", "www-data") == UnixEndpoint("/a b.sock", "www-data")
    assert parse_endpoint("tcp:127.0.0.1:9001") == TcpEndpoint("127.0.0.1", 9001)
    assert parse_endpoint("unix:relative") is None
    assert parse_endpoint("nonsense") is None
    assert parse_tcp("9001") == parse_tcp(":9001") == parse_tcp("*:9001") == TcpEndpoint("127.0.0.1", 9001)
    assert parse_tcp("[::1]:9001") == TcpEndpoint("::1", 9001)
    assert parse_tcp("127.0.0.1:99999") is None


@pytest.mark.parametrize(
    ("version", "vulnerable", "signals"),
    [
        ("3.0", True, False),
        ("3.0.1", False, False),
        ("3.1.3", True, False),
        ("3.1.4", False, False),
        ("3.2.3", True, True),
        ("3.3.2", True, True),
        ("3.3.3", False, True),
        ("4.2.1", False, True),
        ("4.3.0.dev0", False, True),
        ("", False, False),
        ("weird", False, False),
    ],
)
def test_what_a_version_means(version: str, vulnerable: bool, signals: bool) -> None:
    assert has_cve_2017_11610(parse_version(version)) is vulnerable
    assert can_signal(parse_version(version)) is signals


SUDO_1_9_13 = """Matching Defaults entries for ops on app1:
    env_reset, mail_badpass, secure_path=/usr/local/sbin\\:/usr/local/bin\\:/usr/sbin\\:/usr/bin, use_pty

User ops may run the following commands on app1:
    (www-data) NOPASSWD: /edx/app/supervisor/venvs/supervisor/bin/supervisorctl -c /x *
    (root) NOPASSWD: /usr/sbin/nginx -t, /bin/systemctl reload nginx.service, /bin/systemctl restart x.service
    (root) NOPASSWD: /bin/systemctl status *
    (root) PASSWD: /bin/systemctl stop nginx.service
    (root) NOPASSWD: /usr/sbin/service nginx *
"""
VERBS = frozenset({"start", "stop", "restart", "reload"})


def test_what_sudo_lists_is_understood() -> None:
    assert allowed(SUDO_1_9_13, "systemctl", VERBS) == {"reload", "restart"}
    assert allowed(SUDO_1_9_13, "service", VERBS) == VERBS
    assert allowed("    (ALL : ALL) NOPASSWD: ALL\n", "systemctl", VERBS) == VERBS
    assert allowed("    (ALL : ALL) ALL\n", "systemctl", VERBS) == frozenset()
    assert allowed("    (www-data) NOPASSWD: ALL\n", "systemctl", VERBS) == frozenset()
    assert allowed("sudo: a password is required\n", "systemctl", VERBS) == frozenset()
    assert rule("ops", "/bin/x", user="www-data") == "add to sudoers: ops ALL=(www-data) NOPASSWD: /bin/x"


SHOW_252 = """SubState=running
Id=nginx.service
ActiveState=active
LoadState=loaded
MainPID=43
ExecMainStartTimestampMonotonic=2519187509
InvocationID=c90c8fe5d6d14a5caca0d2682acb1317
NRestarts=2
NeedDaemonReload=yes

Id=nosuch.service
LoadState=not-found
ActiveState=inactive
SubState=dead

Id=bad.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
ExecMainStatus=203
MainPID=0
StateChangeTimestamp=1795397073709649
"""


def test_systemctl_show_of_several_units() -> None:
    found = parse_show(SHOW_252)
    assert list(found) == ["nginx.service", "nosuch.service", "bad.service"]
    nginx = to_unit("nginx.service", found["nginx.service"])
    assert nginx.health is UnitHealth.RUNNING
    assert nginx.identity == Identity(43, 2519187509, "c90c8fe5d6d14a5caca0d2682acb1317")
    assert nginx.detail == "2 automatic restarts, its unit file changed: systemctl daemon-reload first"
    bad = to_unit("bad.service", found["bad.service"])
    assert (bad.health, bad.identity, bad.word) == (UnitHealth.FAILED, Identity(), "failed (failed)")
    assert bad.detail == "exit-code, exit status 203"
    assert bad.since == pytest.approx(1795397073.709649)


def test_an_alias_is_another_name_of_the_unit_not_another_unit() -> None:
    redis = {"Id": "redis-server.service", "Names": "redis.service redis-server.service", "MainPID": "9"}
    by_alias = to_unit("redis.service", redis)
    assert (by_alias.name, by_alias.aliases) == ("redis-server.service", ("redis.service",))
    # An old systemd knows only those names that it was asked by.
    early = to_unit("redis-server.service", redis | {"Names": "redis-server.service"})
    assert once([by_alias, early]) == {"redis-server.service": by_alias}


def test_a_unit_that_systemd_starts_again_and_again_is_failing() -> None:
    looping = {
        "ActiveState": "activating",
        "SubState": "auto-restart",
        "Result": "exit-code",
        "NRestarts": "9",
    }
    assert to_unit("x.service", looping).health is UnitHealth.FAILED


def test_which_units_are_wanted() -> None:
    assert wanted("supervisor.devpi.service", "active", ("supervisor.*.service",))
    assert wanted("cron.service", "failed", ())
    assert not wanted("cron.service", "active", ("nginx.service",))
    assert unescape_path("/org/freedesktop/systemd1/unit/redis_2dserver_2eservice") == "redis-server.service"
    assert unescape_path("/org/freedesktop/systemd1/unit/a_zz") == "a_zz"


def test_init_scripts() -> None:
    units = parse_sysv(
        "nginx 0 43 2519 root\nmysql 3 - - root\nrabbitmq-server 1 7 5 root\nodd 4 - - root\n"
        "noise from a script\n"
    ).units
    assert {n: u.health for n, u in units.items()} == {
        "nginx": UnitHealth.RUNNING,
        "mysql": UnitHealth.STOPPED,
        "rabbitmq-server": UnitHealth.FAILED,
        "odd": UnitHealth.UNKNOWN,
    }
    assert units["nginx"].identity == Identity(43, 2519)
    assert units["rabbitmq-server"].identity == Identity()


def test_what_a_script_tells_a_login_is_believed_only_when_it_runs() -> None:
    answers = parse_sysv("nginx 0 43 2519 login\nmysql 3 - - login\nredis-server 1 7 5 refused\n")
    assert {n: u.health for n, u in answers.units.items()} == {
        "nginx": UnitHealth.RUNNING,
        "mysql": UnitHealth.UNKNOWN,
        "redis-server": UnitHealth.UNKNOWN,
    }
    assert answers.units["nginx"].identity == Identity(43, 2519)
    assert "stopped" in answers.units["mysql"].detail
    assert answers.refused == ("redis-server",)
    assert answers.untold == ("mysql", "redis-server")
