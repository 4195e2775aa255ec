#!/bin/bash
# Build the feature cache and train both heads from it, with one configuration:
#   /workspace/scripts/total_train.sh [CONFIG.yaml] [--set NAME=VALUE ...]
# The features' folder is cache.folder of the configuration, else $VLDOCK_FEATURES, set by the image.
# NPROC=4 builds with as many processes, one for each GPU. A stage that fails ends the run; the same command continues.
set -euo pipefail

options=()
if [ "${1:-}" ] && [ "${1#-}" = "$1" ]; then
    options=(--config "$1")
    shift
fi
options+=("$@")
head() { python -m vldock.image.heads "${options[@]}" "$@"; }

echo "== 1/3 features"
if [ "${NPROC:-1}" -gt 1 ]; then
    torchrun --standalone --local-addr 127.0.0.1 --nproc-per-node "$NPROC" -m vldock.image.heads "${options[@]}" --prepare
else
    head --prepare
fi
echo "== 2/3 regression"
head --objective regression
echo "== 3/3 flow matching"
head --objective flow-matching
