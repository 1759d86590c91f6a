#!/bin/sh
# Makes the development environment in $1: finds Python 3.13, or fetches it with uv when uv is here,
# and installs the locked packages. Everything is checked against the hashes in requirements-dev.txt.
set -eu
venv=$1

is_313() { "$@" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; }

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3 python; do
        [ -n "$candidate" ] && is_313 "$candidate" && { command -v "$candidate"; return 0; }
    done
    for candidate in "$HOME"/.pyenv/versions/3.13*/bin/python3.13 /opt/python/3.13*/bin/python3.13 /usr/local/bin/python3.13; do
        [ -x "$candidate" ] && is_313 "$candidate" && { echo "$candidate"; return 0; }
    done
    command -v uv >/dev/null 2>&1 || return 1
    uv python find 3.13 2>/dev/null || { uv python install 3.13 >&2 && uv python find 3.13; }
}

python=$(find_python) || {
    echo "Muster needs Python 3.13 and found none on this machine." >&2
    echo "Install it (for example: 'uv python install 3.13', 'pyenv install 3.13', or from your system's packages)," >&2
    echo "or name one: make PYTHON=/path/to/python3.13 ..." >&2
    exit 1
}

# Without its ensurepip, as some systems package it, Python leaves an environment that has no pip.
usable() { is_313 "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }
usable || { rm -rf "$venv"; "$python" -m venv "$venv"; }
echo "Installing the locked packages into $venv (about a minute the first time) ..." >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
