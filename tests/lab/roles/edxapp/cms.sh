#!/bin/sh
exec /edx/app/edxapp/venvs/edxapp/bin/python /edx/app/edxapp/venvs/edxapp/bin/gunicorn -c /edx/app/edxapp/cms_gunicorn.py cms.wsgi
