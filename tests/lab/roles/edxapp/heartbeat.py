"""A WSGI application that answers like the LMS: /heartbeat really asks the data host.

Its answer and its log lines have the shapes of edx-platform (Hawthorn and later).
"""

import json
import logging
import logging.handlers
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

import bson

VARIANT = os.environ.get("SERVICE_VARIANT", "lms")
HOST = socket.gethostname()
DATA = "data"
TIMEOUT = 2.0

CONSOLE = (
    "%(asctime)s %(levelname)s %(process)d [%(name)s] [user None] [ip None] "
    "%(filename)s:%(lineno)d - %(message)s"
)
EDX_LOG = (
    f"%(asctime)s {HOST} [service_variant={VARIANT}][%(name)s][env:lab] %(levelname)s "
    f"[{HOST}  %(process)d] [user None] [ip None] [%(filename)s:%(lineno)d] - %(message)s"
)


def make_log() -> logging.Logger:
    log = logging.getLogger("openedx.core.djangoapps.heartbeat.views")
    log.setLevel(logging.INFO)
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter(CONSOLE))
    file = logging.handlers.WatchedFileHandler(f"/edx/var/log/{VARIANT}/edx.log")
    file.setFormatter(logging.Formatter(EDX_LOG, datefmt="%b %e %H:%M:%S"))
    log.handlers = [console, file]
    return log


LOG = make_log()


def check_database() -> None:
    """MySQL speaks first: a packet whose payload begins with protocol version 10."""
    with socket.create_connection((DATA, 3306), TIMEOUT) as connection:
        head = connection.recv(5)
    if len(head) < 5 or head[4] != 10:
        raise OSError(f"not a MySQL greeting: {head!r}")


def check_modulestore() -> None:
    """MongoDB answers a ping sent as an OP_MSG."""
    body = struct.pack("<I", 0) + b"\0" + bson.encode({"ping": 1, "$db": "admin"})
    message = struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body
    with socket.create_connection((DATA, 27017), TIMEOUT) as connection:
        connection.sendall(message)
        reply = connection.recv(4096)
    if bson.decode(reply[21:]).get("ok") != 1.0:
        raise OSError("Can't connect to edxapp")


CHECKS = {"modulestore": check_modulestore, "sql": check_database}


def heartbeat() -> tuple[str, dict[str, Any]]:
    """Status line and body of /heartbeat."""
    answer: dict[str, Any] = {}
    for name, check in CHECKS.items():
        try:
            check()
            answer[name] = {"status": True, "message": "OK"}
        except OSError as error:
            answer[name] = {"status": False, "message": str(error)}
    if all(result["status"] for result in answer.values()):
        return "200 OK", answer
    LOG.error("Heartbeat check failed (503): %s", answer)
    return "503 Service Unavailable", answer


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/heartbeat":
        status, answer = heartbeat()
        body, kind = json.dumps(answer).encode(), "application/json"
    elif path == "/xqueue/status/":
        status, body, kind = "200 OK", b'{"return_code": 0, "content": "OK"}', "application/json"
    else:
        status, body, kind = "200 OK", f"<h1>{VARIANT} on {HOST}</h1>\n".encode(), "text/html"
        LOG.info("%s %s", environ["REQUEST_METHOD"], path)
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
