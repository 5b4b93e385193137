"""The entry point gunicorn loads."""

from heartbeat import application  # type: ignore[import-not-found]  # beside this package on the host

__all__ = ["application"]
