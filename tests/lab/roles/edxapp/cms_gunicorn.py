"""gunicorn's settings for the CMS, as openedx/configuration templates them."""

preload_app = False
timeout = 300
bind = "0.0.0.0:8010"
workers = 2
