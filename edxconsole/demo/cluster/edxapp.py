"""The demo's LMS, CMS and xqueue: WSGI apps that answer the paths an operator knows and log as real ones.

`/heartbeat` asks MySQL, MongoDB and memcached each time, where the settings say they are; 503 if one isn't
well. Pages cost a few milliseconds of sleep, so that response times look alive.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from edxconsole.demo.cluster import dependencies, logs, settings, tasks
from edxconsole.demo.cluster.settings import Settings

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_CHECKS: dict[str, Callable[[Settings], None]] = {
    "modulestore": lambda said: dependencies.ask_modulestore(*said.modulestore),
    "sql": lambda said: dependencies.ask_sql(*said.database),
    "cache_set": lambda said: dependencies.ask_cache(*said.cache),
}
_NOTES = (
    ("edx.courseware", "module_render.py", 731, "Rendered %s for user in 1 request"),
    ("lms.djangoapps.grades.tasks", "tasks.py", 188, "Attempted to recalculate the subsection grade for %s"),
    ("openedx.core.djangoapps.user_authn", "login.py", 312, "Login success for %s"),
    ("edx.student", "views.py", 640, "User enrolled in %s"),
)
_WARNINGS = (
    ("xmodule.modulestore.mongo.base", "base.py", 402, "Slow query: 412 ms for %s"),
    ("django.request", "log.py", 222, "Not Found: %s"),
)


def heartbeat(said: Settings) -> tuple[int, dict[str, dict[str, object]]]:
    """Ask every dependency. Returns (200 or 503, the JSON of the Hawthorn heartbeat)."""
    answer: dict[str, dict[str, object]] = {}
    for name, ask in _CHECKS.items():
        try:
            ask(said)
            answer[name] = {"status": True, "message": "OK"}
        except OSError as error:
            answer[name] = {"status": False, "message": str(error)}
    status = 200 if all(check["status"] for check in answer.values()) else 503
    if status != 200:
        _log(
            "openedx.core.djangoapps.heartbeat.views", "views.py", 36, logging.ERROR, None, None,
            f"Heartbeat check failed (503): {answer}",
        )  # fmt: skip
    return status, answer


def _log(name: str, file: str, line: int, level: int, user: int | None, ip: str | None, text: str) -> None:
    extra = {"userid": user, "remoteip": ip, "shown_filename": file, "shown_lineno": line}
    logging.getLogger(name).log(level, "%s", text, extra=extra)


def _page(path: str, environ: Environ, variant: str, said: Settings) -> int:
    """Log what the page would; returns the status."""
    ip = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR")
    user = random.randint(4, 900)
    time.sleep(random.choice((0.004, 0.008, 0.015, 0.03, 0.12)))
    if path.startswith("/missing"):
        name, file, line, text = _WARNINGS[1]
        _log(name, file, line, logging.WARNING, user, ip, text % path)
        return 404
    if random.random() < 0.02:
        name, file, line, text = _WARNINGS[0]
        _log(name, file, line, logging.WARNING, user, ip, text % path)
    name, file, line, text = random.choice(_NOTES)
    _log(name, file, line, logging.INFO, user, ip, text % path)
    _track(path, environ, variant, user, ip)
    if random.random() < 0.15:
        _recalculate(variant, said)
    if said.xqueue is not None and random.random() < 0.05:
        _submit(said.xqueue)
    return 200


def _recalculate(variant: str, said: Settings) -> None:
    """Queue a task, as answering a problem does; without a broker edx.log says so."""
    try:
        tasks.send(
            f"{variant}.djangoapps.grades.tasks.recalculate_subsection_grade_v3",
            ["course-v1:edX+DemoX+2016"],
            f"edx.{variant}.core.default",
            said.broker,
        )
    except OSError as error:
        _log("celery.utils.dispatch", "signal.py", 275, logging.ERROR, None, None, f"Task not sent: {error}")


def _submit(xqueue: settings.Place) -> None:
    """Hand an answer to xqueue, as a problem with an external grader does."""
    try:
        dependencies.ask_xqueue(*xqueue)
    except OSError as error:
        text = f"Unable to connect to xqueue: {error}"
        _log("capa.xqueue_interface", "xqueue_interface.py", 142, logging.ERROR, None, None, text)


def _track(path: str, environ: Environ, variant: str, user: int, ip: str | None) -> None:
    """Append one event to tracking.log, raw JSON as rsyslog's local1 writes it."""
    event = {
        "username": f"learner{user}", "event_type": path, "ip": ip,
        "agent": environ.get("HTTP_USER_AGENT", ""),
        "host": environ.get("HTTP_HOST", ""),
        "event": '{"POST": {}, "GET": {}}', "event_source": "server",
        "context": {"user_id": user, "org_id": "edX", "course_id": "course-v1:edX+DemoX+2016", "path": path},
        "time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), "page": None,
    }  # fmt: skip
    directory = logs.log_directory("tracking")
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "tracking.log", "a") as file:
        file.write(json.dumps(event) + "\n")


def make_application(variant: str) -> Application:
    """The WSGI application of `lms`, `cms` or `xqueue`. Raises as `settings.load`."""
    said = settings.load(variant)
    logs.set_up(variant, said.environment)

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = unquote(str(environ["PATH_INFO"]))
        kind = "application/json"
        if path.rstrip("/") == "/heartbeat" and variant != "xqueue":
            status, answer = heartbeat(said)
            body = json.dumps(answer).encode()
        elif variant == "xqueue":
            status, body = 200, b'{"return_code": 0, "content": "OK"}'
        else:
            status, kind = _page(path, environ, variant, said), "text/html; charset=utf-8"
            body = f"<!doctype html><title>edxconsole demo {variant}</title>{path}\n".encode()
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [("Content-Type", kind), ("Content-Length", str(len(body)))],
        )
        return [body]

    return application
