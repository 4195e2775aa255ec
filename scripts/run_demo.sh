#!/usr/bin/env bash
# From a fresh machine to 40 evaluated cells: engine, base, image, then the matrix on the stand-ins, offline.
set -euo pipefail
cd "$(dirname "$0")/.."

vldock=.venv/bin/vldock
step() { printf '\n== %s\n' "$*"; }

step "1/4 engine"
"$vldock" engine up
step "2/4 base image"
"$vldock" base
step "3/4 image vldock:4.37 (verified as it is built)"
"$vldock" build
step "4/4 matrix: 2 models x 20 benchmarks on the embedded stand-ins, --network none"
exec "$vldock" matrix --standin --samples 10 --network none "$@"
