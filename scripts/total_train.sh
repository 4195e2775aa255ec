#!/usr/bin/env bash
# Build the feature cache and train both heads in the image: scripts/total_train.sh [CONFIG.yaml] [--set NAME=VALUE ...]
# Caches are in CACHE (default .vldock/cache), results in OUTPUTS (default outputs); both are created if missing.
# STANDIN=1 uses the embedded tiny models and no network; GPUS=all passes GPUs on; NPROC processes build the cache.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${CACHE:-.vldock/cache} outputs=${OUTPUTS:-outputs}
mkdir -p "$cache" "$outputs"
options=(--rm --label vldock.role=train --user "$(id -u):$(id -g)" --shm-size=1g -e "NPROC=${NPROC:-1}")
options+=(-v "$(realpath "$cache"):/workspace/.cache" -v "$(realpath "$outputs"):/workspace/outputs")
[ -z "${STANDIN:-}" ] || options+=(-e VLDOCK_STANDIN=1 --network none)
[ -z "${GPUS:-}" ] || options+=(--gpus "$GPUS")
if [ "${1:-}" ] && [ "${1#-}" = "$1" ]; then
    options+=(-v "$(realpath "$1"):/config.yaml:ro")
    shift
    set -- /config.yaml "$@"
fi
docker=$(.venv/bin/python -c 'from vldock.host.docker_engine.docker_cli import require_builder; print(require_builder().path)')
image=$(.venv/bin/vldock version --tag)
exec "$docker" run "${options[@]}" "$image" /workspace/scripts/total_train.sh "$@"
