#!/bin/bash
# Stage deps: install the lock into /opt/venv, prove it, shave it, compile it, move it to /rootfs/opt/venv.
# /build holds the lock and these helpers.
set -euo pipefail

venv=/opt/venv site=/opt/venv/lib/python3.11/site-packages lock=/build/transformers-4.37.lock
if [ -s /run/secrets/pip_index ]; then
    PIP_INDEX_URL=$(cat /run/secrets/pip_index)
    export PIP_INDEX_URL
fi
install=("$venv/bin/pip" install --quiet --no-compile --require-hashes --no-deps)

python3 -m venv "$venv"
python3 /build/lock_part.py "$lock" pip setuptools wheel > /build/first.txt
"${install[@]}" -r /build/first.txt
"${install[@]}" --no-build-isolation --progress-bar off -r "$lock"
"$venv/bin/python" /build/prove.py --lock "$lock" --site "$site"

python3 /build/relocate.py --site "$site" --staging /editable \
    llava-torch=llava=/workspace/LLaVA ms-vlmeval=vlmeval=/workspace/VLMEvalKit
python3 /build/shave.py --site "$site" --report /rootfs/opt/vldock/shaved.json

# unchecked-hash: imports never stat or rewrite; half the start-up time of an uncompiled tree.
find "$venv" -name __pycache__ -prune -exec rm -rf {} +
# Forced: bytecode that Python wrote on start carries its source's time, and would otherwise be kept.
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m compileall -q -f -j 2 --invalidation-mode unchecked-hash "$site" > /build/compileall.log 2>&1 ||
    echo "not compiled: $(grep -c '^\*\*\* ' /build/compileall.log) files for other Pythons"

# OS packages of the build, for `vldock os-packages`: the image's own dpkg lists only those that ship.
mkdir -p /rootfs/opt/vldock
dpkg-query -W -f '${Package}=${Version}\n' | sort > /rootfs/opt/vldock/os-packages.build.txt
mv "$venv" /rootfs/opt/venv
ln -s /rootfs/opt/venv "$venv"
find /rootfs /editable -newermt "@${SOURCE_DATE_EPOCH}" -exec touch -hcd "@${SOURCE_DATE_EPOCH}" {} +
