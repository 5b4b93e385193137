"""`python -m edxconsole.demo.traffic ADDRESS LMS_PORT PARENT`: learners, three requests a second."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from edxconsole.demo import linux

_COURSE = "/courses/course-v1:edX+DemoX+2016"
_LMS = (
    "/", "/dashboard", "/login", "/heartbeat", "/api/user/v1/me", f"{_COURSE}/info",
    f"{_COURSE}/courseware/intro/1/", f"{_COURSE}/courseware/graded/2/", f"{_COURSE}/progress",
    f"{_COURSE}/discussion/forum/", "/missing/favicon.png",
)  # fmt: skip
_CMS = ("/home/", "/course/course-v1:edX+DemoX+2016", "/heartbeat")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPad)", "edX.mobile 4.1", "ELB-HealthChecker/1.0")


@contextlib.contextmanager
def start_traffic(address: str, lms_port: int) -> Iterator[None]:
    """Learners for as long as the context lasts, or this thread."""
    # Here: its dataclasses would cost the process that is started 3 MiB.
    from edxconsole.demo.namespaces import module_command

    process = subprocess.Popen(
        [*module_command("traffic"), address, str(lms_port), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _one(address: str, lms_port: int) -> None:
    """One request, by hand: http.client would cost this process 4 MiB."""
    port, path = lms_port, random.choice(_LMS)
    if random.random() < 0.2:
        port, path = 18010, random.choice(_CMS)
    elif random.random() < 0.05:
        port, path = 18040, "/xqueue/status/"
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {random.choice(_AGENTS)}\r\n"
        f"X-Forwarded-For: 203.0.113.{random.randint(1, 250)}\r\nX-Forwarded-Proto: https\r\n"
        "Connection: close\r\n\r\n"
    )
    with socket.create_connection((address, port), 5) as stream:
        stream.sendall(request.encode())
        while stream.recv(65536):
            pass


def main() -> None:
    """For ever, until the demo ends; a cluster that is broken on purpose is no error here."""
    linux.die_with(int(sys.argv[3]))
    address, lms_port = sys.argv[1], int(sys.argv[2])
    while True:
        try:
            _one(address, lms_port)
        except OSError:
            time.sleep(1)
        time.sleep(random.expovariate(3))


if __name__ == "__main__":
    main()
