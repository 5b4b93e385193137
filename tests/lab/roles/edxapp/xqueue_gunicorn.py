"""gunicorn's settings for xqueue, as openedx/configuration templates them."""

preload_app = True
timeout = 300
bind = "0.0.0.0:8040"
workers = 2
