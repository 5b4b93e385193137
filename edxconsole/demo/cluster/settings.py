"""What an app of the demo is configured with: the files of a native install, as `lms.envs.aws` reads its.

That is when the process starts, `<variant>.env.json` first; what `<variant>.auth.json` says overrides it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edxconsole.demo.cluster.dependencies import Login

Place = tuple[str, int]
"""host, port"""
_HOMES = {"lms": "edx/app/edxapp", "cms": "edx/app/edxapp", "xqueue": "edx/app/xqueue"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one app. A property raises `KeyError` where its files don't say it."""

    tree: Mapping[str, Any] = field(repr=False)

    @property
    def database(self) -> tuple[str, int, Login]:
        """MySQL's host and port, and how to log in there."""
        said = self.tree["DATABASES"]["default"]
        return said["HOST"], int(said["PORT"]), Login(said["USER"], said["PASSWORD"], said["NAME"])

    @property
    def modulestore(self) -> Place:
        """MongoDB."""
        said = self.tree["DOC_STORE_CONFIG"]
        return said["host"][0], said["port"]

    @property
    def cache(self) -> Place:
        """memcached."""
        return _split(self.tree["CACHES"]["default"]["LOCATION"][0])

    @property
    def rabbit(self) -> Place:
        """RabbitMQ, as xqueue names it."""
        return self.tree["RABBIT_HOST"], self.tree["RABBIT_PORT"]

    @property
    def xqueue(self) -> Place | None:
        """xqueue; None: this app hands nothing in there."""
        said = self.tree.get("XQUEUE_INTERFACE")
        return None if said is None else _split(urlsplit(said["url"]).netloc)

    @property
    def broker(self) -> str:
        """The URL of Celery's broker, which asks for no login."""
        transport, hostname, vhost = (
            self.tree[f"CELERY_BROKER_{key}"] for key in ("TRANSPORT", "HOSTNAME", "VHOST")
        )
        return f"{transport}://{hostname}/{vhost}" if hostname else f"{transport}://"

    @property
    def environment(self) -> str:
        """What the lines of edx.log are marked with."""
        return str(self.tree["LOGGING_ENV"])


def load(variant: str) -> Settings:
    """Those of `lms`, `cms` or `xqueue`, below EDX_DEMO_ROOT. Raises `OSError`, `ValueError`."""
    home = Path(os.environ.get("EDX_DEMO_ROOT", "/"), _HOMES[variant])
    tree: dict[str, Any] = {}
    for kind in ("env", "auth"):
        tree |= json.loads((home / f"{variant}.{kind}.json").read_text())
    return Settings(tree)


def _split(place: str) -> Place:
    host, _, port = place.rpartition(":")
    return host, int(port)
