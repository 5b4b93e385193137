#!/bin/sh
# Make the virtualenv and install exactly what requirements.lock says. Usage: bootstrap.sh PYTHON VENV
set -eu
python=$1
venv=$2

say() { printf '%s\n' "$*" >&2; }

if ! command -v "$python" >/dev/null 2>&1; then
    say "edxconsole needs Python 3.11 or newer, and '$python' was not found; install it or run: make PYTHON=/path/to/python3"
    exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "edxconsole needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Run: make PYTHON=/path/to/python3.11"
    exit 2
fi
# Debian ships venv's ensurepip apart, in python3-venv.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing python3-venv ..."
        apt-get update -qq >/dev/null 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        say "$python has no ensurepip, so no virtualenv can be made; on Debian: apt-get install python3-venv"
        exit 2
    fi
fi
say "setting up $venv (once) ..."
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
