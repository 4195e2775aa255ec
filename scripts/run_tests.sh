#!/usr/bin/env bash
# run_tests.sh [unit|docker|image|all]: `all` builds what the others need. One verdict at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
vldock=.venv/bin/vldock
pytest=(.venv/bin/python -m pytest -q)
step() { printf '\n== %s\n' "$*"; }

if [ "$what" = unit ] || [ "$what" = all ]; then
    step "checks"
    scripts/run_checks.sh
    step "unit tests"
    "${pytest[@]}" -n auto --maxprocesses 8 tests/unit
fi
if [ "$what" = all ]; then
    step "locks agree with their .in files"
    .venv/bin/python -m vldock.host.lock --check
    step "engine, base, image (the in-image tests run in its verify stage)"
    "$vldock" engine up
    "$vldock" base
    "$vldock" build
fi
if [ "$what" = image ]; then
    step "in-image tests in a container of the promoted image"
    "$vldock" verify --group inside --group gpu
fi
if [ "$what" = all ]; then
    step "verify: the image from outside and inside, and the 40-cell matrix"
    "$vldock" verify
    step "docker tests of the harness itself"
    "${pytest[@]}" tests/docker -m "not verify"
fi
if [ "$what" = docker ]; then
    step "docker tests: containers, users, refusals, the 40-cell matrix"
    "${pytest[@]}" tests/docker
fi
