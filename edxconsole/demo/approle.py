"""An app host: supervisord with LMS, CMS, xqueue and their workers, in the two groups of old releases."""

from __future__ import annotations

from edxconsole.demo.hostspec import Service
from edxconsole.demo.layout import (
    EDXAPP_VENV,
    SUPERVISOR_CONF,
    SUPERVISOR_VENV,
    XQUEUE_VENV,
    Contents,
    Place,
    add_venv,
    entry_point,
)
from edxconsole.demo.settings_files import Passwords, add_edxapp_settings, add_xqueue_settings

QUEUE_HOST = "app1"
"""one app host has xqueue, its consumer and Studio's worker, as sites that had a queue host"""
_EVERYWHERE = ("edxapp:lms", "edxapp:cms", "edxapp_worker:lms_default_1")


def programs_of(host: str) -> tuple[str, ...]:
    """The full names of an app host's supervisor programs."""
    if host == QUEUE_HOST:
        return (*_EVERYWHERE, "edxapp_worker:cms_default_1", "xqueue", "xqueue_consumer")
    return _EVERYWHERE


_WORKERS = {
    "lms_default_1": ("lms", "edx.lms.core.default"),
    "cms_default_1": ("cms", "edx.cms.core.default"),
}
_CONF = "/edx/app/supervisor/conf.d"
_GUNICORN = """\
preload_app = {preload}
timeout = 300
control_socket_disable = True
bind = "{listen}:{port}"
pythonpath = "{pythonpath}"
workers = {workers}


def pre_request(worker, req):
    worker.log.info("%s %s" % (req.method, req.path))
"""
_WSGI = """\
from edxconsole.demo.cluster.edxapp import make_application

application = make_application("{variant}")
"""
_SUPERVISORD = """\
[unix_http_server]
file={root}/edx/var/supervisor/supervisor.sock
chmod=0700

[inet_http_server]
port={inet}:9001

[supervisord]
logfile={root}/edx/var/log/supervisor/supervisord.log
pidfile={root}/edx/var/supervisor/supervisord.pid
childlogdir={root}/edx/var/log/supervisor

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{root}/edx/var/supervisor/supervisor.sock

[include]
files={root}/edx/app/supervisor/conf.d/*.conf
"""
_PROGRAM = """\
[program:{name}]
command={command}
directory={directory}
environment={environment}
stdout_logfile={root}/edx/var/log/supervisor/%(program_name)s-stdout.log
stderr_logfile={root}/edx/var/log/supervisor/%(program_name)s-stderr.log
killasgroup=true
"""


def app_contents(place: Place, broker: str, passwords: Passwords) -> Contents:
    """Everything an app host has, and the one service its init starts: supervisord."""
    contents = Contents()
    contents.directories += ["/edx/var/supervisor", "/edx/var/log/supervisor", "/edx/var/log/tracking"]
    gunicorn = entry_point("gunicorn.app.wsgiapp", "run")
    django = "from edxconsole.demo.cluster.manage import run_consumer\nrun_consumer()\n"
    add_venv(contents, place, EDXAPP_VENV, {"gunicorn": gunicorn})
    add_venv(contents, place, XQUEUE_VENV, {"gunicorn": gunicorn, "django-admin": django})
    add_venv(
        contents,
        place,
        SUPERVISOR_VENV,
        {
            "supervisord": entry_point("supervisor.supervisord", "main"),
            "supervisorctl": entry_point("supervisor.supervisorctl", "main"),
        },
    )
    _add_apps(contents, place)
    add_edxapp_settings(contents, place, broker, passwords)
    if place.name == QUEUE_HOST:
        add_xqueue_settings(contents, place, passwords)
    _add_supervisor(contents, place)
    supervisord = f"{place.root}{SUPERVISOR_VENV}/bin/supervisord"
    contents.services.append(
        Service(
            (supervisord, "-n", "--configuration", place.root + SUPERVISOR_CONF),
            "/var/log/supervisor-start.log",
            place.env,
        )
    )
    return contents


def _add_apps(contents: Contents, place: Place) -> None:
    platform = "/edx/app/edxapp/edx-platform"
    apps = (("lms", "/edx/app/edxapp", platform, 8000, 2), ("cms", "/edx/app/edxapp", platform, 8010, 1))
    for variant, base, code, port, workers in (
        *apps,
        ("xqueue", "/edx/app/xqueue", "/edx/app/xqueue/xqueue", 8040, 1),
    ):
        settings = {
            "listen": place.listen, "port": port, "workers": workers, "pythonpath": place.root + code,
            "preload": variant == "xqueue",
        }  # fmt: skip
        contents.add(f"{base}/{variant}_gunicorn.py", _GUNICORN.format(**settings))
        contents.add(f"{code}/{variant}/__init__.py", "")
        contents.add(f"{code}/{variant}/wsgi.py", _WSGI.format(variant=variant))
        contents.directories.append(f"/edx/var/log/{variant}")
    contents.add(
        f"{platform}/manage.py",
        "import sys\nfrom edxconsole.demo.cluster.manage import run_celery\nrun_celery(sys.argv[1:])\n",
    )


def _add_supervisor(contents: Contents, place: Place) -> None:
    inet = place.listen if place.root else "127.0.0.1"
    contents.add(SUPERVISOR_CONF, _SUPERVISORD.format(root=place.root, inet=inet))
    contents.add(
        "/edx/bin/supervisorctl",
        f"#!/bin/sh\nexec {place.root}{SUPERVISOR_VENV}/bin/supervisorctl "
        f'-c {place.root}{SUPERVISOR_CONF} "$@"\n',
        0o755,
    )
    for variant in ("lms", "cms"):
        _add_gunicorn(contents, place, variant, EDXAPP_VENV, "/edx/app/edxapp")
    contents.add(f"{_CONF}/edxapp.conf", "[group:edxapp]\nprograms=lms,cms\npriority=999\n")
    names = [n for n in _WORKERS if f"edxapp_worker:{n}" in programs_of(place.name)]
    workers = "".join(_worker(place, name, *_WORKERS[name]) for name in names)
    contents.add(f"{_CONF}/workers.conf", workers + f"[group:edxapp_worker]\nprograms={','.join(names)}\n")
    if place.name == QUEUE_HOST:
        _add_xqueue(contents, place)


def _add_xqueue(contents: Contents, place: Place) -> None:
    _add_gunicorn(contents, place, "xqueue", XQUEUE_VENV, "/edx/app/xqueue")
    command = (
        f"{place.root}{XQUEUE_VENV}/bin/django-admin run_consumer "
        f"--pythonpath={place.root}/edx/app/xqueue/xqueue --settings=xqueue.aws_settings"
    )
    text = _program(place, "xqueue_consumer", command, "/edx/app/xqueue/xqueue", "xqueue")
    contents.add(f"{_CONF}/xqueue_consumer.conf", text + "startsecs=0\n")


def _add_gunicorn(contents: Contents, place: Place, name: str, venv: str, base: str) -> None:
    command = f"{place.root}{venv}/bin/gunicorn -c {place.root}{base}/{name}_gunicorn.py {name}.wsgi"
    text = _program(place, name, command, base, name) + "stopasgroup=true\n"
    contents.add(f"{_CONF}/{name}.conf", text)


def _worker(place: Place, name: str, variant: str, queue: str) -> str:
    platform = f"{place.root}/edx/app/edxapp/edx-platform"
    command = (
        f"{place.root}{EDXAPP_VENV}/bin/python {platform}/manage.py {variant} --settings=aws celery worker "
        f"--loglevel=info --queues={queue} --hostname={queue}.%%h --concurrency=1 "
        "--pool=solo"
    )
    text = _program(place, name, command, "/edx/app/edxapp/edx-platform", variant)
    return text + "stopwaitsecs=432000\nautorestart=true\n\n"


def _program(place: Place, name: str, command: str, directory: str, variant: str) -> str:
    environment = place.env | {"SERVICE_VARIANT": variant, "LANG": "en_US.UTF-8"}
    return _PROGRAM.format(
        name=name,
        command=command,
        directory=place.root + directory,
        root=place.root,
        environment=",".join(f'{k}="{v}"' for k, v in environment.items()),
    )
