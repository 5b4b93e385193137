"""The configuration files of LMS and Studio on test hosts, with the rights that edX's playbooks give them."""

from __future__ import annotations

import json
import shlex
from typing import Any

import yaml

from tests.lab.host import LabHost

SECRET = "hunter2-never-shown"
"""every password in them"""
FILES = tuple(f"/edx/app/edxapp/{site}.{kind}.json" for site in ("lms", "cms") for kind in ("env", "auth"))
"""what edxapp reads up to Ironwood, and what the lab's LMS reads: it is started without LMS_CFG"""
SETTINGS: dict[str, Any] = {
    "DATABASES": {
        "default": {
            "ENGINE": "django.db.backends.mysql", "HOST": "data", "PORT": 3306,
            "USER": "edxapp001", "PASSWORD": SECRET,
        }
    },
    "CACHES": {
        name: {
            "BACKEND": "django.core.cache.backends.memcached.MemcachedCache", "LOCATION": ["data:11211"],
        }
        for name in ("default", "general", "celery")
    },
    "CELERY_BROKER_TRANSPORT": "amqp", "CELERY_BROKER_HOSTNAME": "data", "CELERY_BROKER_PASSWORD": SECRET,
    "DOC_STORE_CONFIG": {"host": ["data"], "port": 27017, "password": SECRET},
    "XQUEUE_INTERFACE": {"url": "http://web:18040", "basic_auth": ["edx", SECRET]},
    "SECRET_KEY": SECRET,
}  # fmt: skip
"""endpoints of the lab's cluster"""


def put(host: LabHost, path: str, content: object, *, mode: str = "640") -> None:
    """A file that the programs may read and the login may not; YAML or JSON by its name, text as it is."""
    text = content if isinstance(content, str) else json.dumps(content)
    if path.endswith(".yml") and not isinstance(content, str):
        text = yaml.safe_dump(content)
    host.sh(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}")
    host.sh(f"chown root:www-data {path}; chmod {mode} {path}")
