#!/bin/bash
# Entrypoint of the image: share with the group, check writable folders, name the user, then run the command.
# The cache variables are the image's ENV (src/vldock/common/cache_env.py), so `docker exec` has them too.
set -euo pipefail

readonly PREFLIGHT=/opt/vldock/vldock/common/preflight.py

share_with_group() {
    umask 0002
}

prepare() {
    # Prints `export NAME=value` lines; standard error names folders that cannot be written and the mount that helps.
    local exports
    exports=$(/opt/venv/bin/python -I -S -B "$PREFLIGHT" --shell) || exit $?
    eval "$exports"
}

share_with_group
prepare
[ "$#" -gt 0 ] || set -- python -m vldock.image doctor
exec "$@"
