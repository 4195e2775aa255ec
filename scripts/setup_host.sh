#!/usr/bin/env bash
# Make .venv from locks/host.lock, once per lock. Needs Python 3.11 or newer; as root it adds Debian's python3-venv.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=locks/host.lock
stamp=.venv/.lock-$(sha256sum "$lock" pyproject.toml | sha256sum | cut -c1-12)
[ -e "$stamp" ] && exit 0

python=${PYTHON:-}
for candidate in python3.11 python3; do
    [ -n "$python" ] || ! command -v "$candidate" > /dev/null || python=$candidate
done
if ! "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "error: no Python 3.11 or newer found (${python:-none on PATH})" >&2
    echo "hint: apt-get install python3.11, or set PYTHON=/path/to/python3.11" >&2
    exit 3
fi
if ! "$python" -c 'import ensurepip' 2> /dev/null; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "error: $python has no ensurepip, which makes virtual environments" >&2
        echo "hint: sudo apt-get install python3-venv" >&2
        exit 3
    fi
    echo "vldock: installing Debian's python3-venv" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv > /dev/null
fi
echo "vldock: making .venv from $lock ($("$python" --version))" >&2
rm -rf .venv
"$python" -m venv .venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
.venv/bin/pip install --quiet --quiet --require-hashes --no-deps -r "$lock"
.venv/bin/pip install --quiet --quiet --no-deps --no-build-isolation --editable .
touch "$stamp"
