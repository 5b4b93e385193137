"""The configuration files of the demo's apps, as Ansible rendered them from Dogwood to Ginkgo.

Endpoints are in `*.env.json`, secrets in `*.auth.json` (domain.md section 8). They name what the demo runs,
and nothing else; the apps read them (`cluster/settings.py`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from edxconsole.demo.layout import Contents, Place

EDXAPP_HOME = "/edx/app/edxapp"
XQUEUE_HOME = "/edx/app/xqueue"
DATABASES = {"edxapp": "edxapp001", "xqueue": "xqueue001"}
"""database -> its user"""
_MODE = 0o640
_CACHES = (
    "default", "general", "mongo_metadata_inheritance", "staticfiles", "configuration", "celery",
    "course_structure_cache",
)  # fmt: skip

Json = Mapping[str, object]


def _new() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Passwords:
    """What the demo's apps know each other by, made anew at each start. It is in no repr."""

    secret_key: str = field(default_factory=_new, repr=False)
    edx_api_key: str = field(default_factory=_new, repr=False)
    modulestore: str = field(default_factory=_new, repr=False)
    """MongoDB's; the stand-in lets in whoever comes"""
    xqueue: str = field(default_factory=_new, repr=False)
    """the LMS's at xqueue"""
    rabbitmq: str = field(default_factory=_new, repr=False)
    databases: Mapping[str, str] = field(default_factory=lambda: {n: _new() for n in DATABASES}, repr=False)
    """database -> password of its user"""
    mysql_operator: str = field(default_factory=_new, repr=False)
    """MySQL's for the operator, who only looks"""


def add_edxapp_settings(contents: Contents, place: Place, broker: str, passwords: Passwords) -> None:
    """Add what the LMS, Studio and their workers read.

    Args:
        broker: Celery's, `TRANSPORT://HOST:PORT/DATABASE`.
    """
    env, auth = _edxapp_env(place, broker), _edxapp_auth(place, passwords)
    own: dict[str, Json] = {"lms": {"XQUEUE_INTERFACE": _xqueue_interface(place, passwords)}, "cms": {}}
    for variant, more in own.items():
        contents.add(f"{EDXAPP_HOME}/{variant}.env.json", _text(env), _MODE)
        contents.add(f"{EDXAPP_HOME}/{variant}.auth.json", _text({**auth, **more}), _MODE)


def add_xqueue_settings(contents: Contents, place: Place, passwords: Passwords) -> None:
    """Add what xqueue and its consumer read."""
    env: Json = {
        "LOGGING_ENV": "demo",
        "RABBIT_HOST": place.data,
        "RABBIT_PORT": 5672,
        "XQUEUES": {"test-pull": None},
    }
    auth: Json = {
        "DATABASES": {"default": _database(place, "xqueue", passwords)},
        "RABBITMQ_USER": "edx",
        "RABBITMQ_PASS": passwords.rabbitmq,
        "USERS": {"lms": passwords.xqueue},
    }
    contents.add(f"{XQUEUE_HOME}/xqueue.env.json", _text(env), _MODE)
    contents.add(f"{XQUEUE_HOME}/xqueue.auth.json", _text(auth), _MODE)


def _edxapp_env(place: Place, broker: str) -> Json:
    transport, _, rest = broker.partition("://")
    hostname, _, vhost = rest.partition("/")
    return {
        "CACHES": {name: _cache(place, name) for name in _CACHES},
        "CELERY_BROKER_HOSTNAME": hostname,
        "CELERY_BROKER_TRANSPORT": transport,
        "CELERY_BROKER_VHOST": vhost,
        "LOGGING_ENV": "demo",
    }


def _cache(place: Place, name: str) -> Json:
    return {
        "BACKEND": "django.core.cache.backends.memcached.MemcachedCache",
        "KEY_FUNCTION": "util.memcache.safe_key",
        "KEY_PREFIX": name,
        "LOCATION": [f"{place.data}:11211"],
    }


def _edxapp_auth(place: Place, passwords: Passwords) -> Json:
    store = {
        "db": "edxapp",
        "host": [place.data],
        "password": passwords.modulestore,
        "port": 27017,
        "user": "edxapp",
    }
    database = _database(place, "edxapp", passwords)
    return {
        # The demo's Redis asks for no login, and a folder has none.
        "CELERY_BROKER_PASSWORD": "",
        "CELERY_BROKER_USER": "",
        "CONTENTSTORE": {
            "DOC_STORE_CONFIG": store,
            "ENGINE": "xmodule.contentstore.mongo.MongoContentStore",
            "OPTIONS": store,
        },
        "DATABASES": {"default": database, "read_replica": database},
        "DOC_STORE_CONFIG": {**store, "collection": "modulestore"},
        "EDX_API_KEY": passwords.edx_api_key,
        "SECRET_KEY": passwords.secret_key,
    }


def _database(place: Place, name: str, passwords: Passwords) -> Json:
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": place.data,
        "NAME": name,
        "PASSWORD": passwords.databases[name],
        "PORT": "3306",
        "USER": DATABASES[name],
    }


def _xqueue_interface(place: Place, passwords: Passwords) -> Json:
    login = {"username": "lms", "password": passwords.xqueue}
    return {"django_auth": login, "url": f"http://{place.apps[0]}:8040"}


def _text(settings: Json) -> str:
    return json.dumps(settings, indent=4, sort_keys=True) + "\n"
