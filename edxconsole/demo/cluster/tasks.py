"""Put a Celery task into a queue without importing Celery, which would cost each gunicorn worker 25 MiB.

The message is what kombu's virtual transports exchange: JSON with a base64 body, pushed to a Redis list or
written as a file of the queue's folder.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from edxconsole.demo.cluster import settings


def send(task: str, arguments: list[object], queue: str, broker: str, folder: str = "/tmp/celery") -> None:
    """Queue one task at a broker, given by its URL. Raises `OSError` if it can't be reached."""
    identity = str(uuid.uuid4())
    message = _message(task, arguments, queue, identity)
    place = urlsplit(broker)
    if place.scheme == "redis":
        _push((place.hostname or "", place.port or 6379), queue, message)
        return
    variant = queue.split(".")[1]
    target = Path(os.environ.get("EDX_DEMO_ROOT", "/"), folder.lstrip("/"), variant)
    if target.is_dir():
        part = target / f".{identity}"
        part.write_bytes(message)
        part.rename(target / f"{int(time.time() * 1000)}_{identity}.{queue}.msg")


def occupy(variant: str, seconds: float = 86400) -> None:
    """Give this host's own worker (Celery's worker_direct queue) a task that takes a day."""
    queue = f"edx.{variant}.core.default"
    worker = f"celery@{queue}.{os.environ.get('EDX_DEMO_HOST') or socket.gethostname()}"
    task = f"{variant}.djangoapps.instructor_task.tasks.calculate_grades_csv"
    send(task, [seconds], f"{worker}.dq2", settings.load(variant).broker)


def _message(task: str, arguments: list[object], queue: str, identity: str) -> bytes:
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = base64.b64encode(json.dumps([arguments, {}, embed]).encode()).decode()
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py", "task": task, "id": identity, "root_id": identity, "parent_id": None,
                "group": None, "retries": 0, "eta": None, "expires": None, "timelimit": [None, None],
                "argsrepr": repr(arguments), "kwargsrepr": "{}", "origin": f"gen@{socket.gethostname()}",
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": identity, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": str(uuid.uuid4()),
            },
        }
    ).encode()  # fmt: skip


def _push(place: settings.Place, queue: str, message: bytes) -> None:
    parts = (b"LPUSH", queue.encode(), message)
    request = b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
    with socket.create_connection(place, 2) as stream:
        stream.sendall(request)
        if not stream.recv(64).startswith(b":"):
            raise ConnectionError("the broker refused the task")
