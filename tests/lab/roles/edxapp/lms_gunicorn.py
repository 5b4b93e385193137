"""gunicorn's settings for the LMS, as openedx/configuration templates them."""

preload_app = False
timeout = 300
bind = "0.0.0.0:8000"
workers = 4
