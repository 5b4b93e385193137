"""Every reader of what services write, given anything: nothing raised, linear time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.inspect.access_log import read_mix
from edxconsole.services.sudo import allowed
from edxconsole.services.supervisor_config import parse, parse_endpoint, parse_tcp
from edxconsole.services.supervisor_posture import parse_version
from edxconsole.services.systemd_units import parse_show, to_unit, unescape_path
from edxconsole.services.sysv_status import parse as parse_sysv


def units_of_systemd(text: str) -> object:
    return {name: to_unit(name, properties) for name, properties in parse_show(text).items()}


READERS: dict[str, Callable[[str], object]] = {
    "systemctl show": units_of_systemd,
    "an object path of D-Bus": unescape_path,
    "status of init scripts": lambda text: parse_sysv(text).units,
    "sudo -l": lambda text: allowed(text, "systemctl", frozenset({"restart", "reload"})),
    "supervisord.conf": lambda text: parse(text, "/etc/supervisor/supervisord.conf"),
    "an endpoint": lambda text: (parse_endpoint(text), parse_tcp(text)),
    "supervisor's version": parse_version,
    "access log": read_mix,
}
PIECES = st.sampled_from(
    [
        *"[](){}\"'\\%=:;#_-\n\t 09az٣²",
        "Id=a.service\n", "ActiveState=active\n", "MainPID=", "ExecMainStartTimestampMonotonic=",
        "StateChangeTimestamp=", "NRestarts=", "ExecMainStatus=", "99999999999999999999", "_2", "_zz",
        "nginx 0 43 2519 root\n", "mysql 3 - - login\n", "redis 1 7 5 refused\n",
        "(ALL) NOPASSWD: ", "/bin/systemctl restart nginx", "(root)", "!", ", ",
        "[unix_http_server]\n", "file=", "[inet_http_server]\n", "port=", "*:9001", "[::1]:9", "unix:/",
        "tcp:",
        "%(ENV_X)s", "%(here)s", "username=u\n", "password={SHA}",
        "4.2.5", "3.0b1", "[23/Nov/2026:05:00:00 +0000] ", '"GET / HTTP/1.1" 200 ',
    ]
)  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@given(text=st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=150))
def test_nothing_is_raised(name: str, text: str) -> None:
    READERS[name](text)


@pytest.mark.parametrize(
    "piece",
    ["[", "(", '"', "\\", "a=", "a\n", "\n\n", "_", "%(", " ", "1", "a 0 1 1 root\n", '[1] "', ":"],
)
@pytest.mark.parametrize("name", READERS)
def test_large_hostile_input_is_read(name: str, piece: str) -> None:
    READERS[name](piece * (250_000 // len(piece)))
