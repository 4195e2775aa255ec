#!/usr/bin/env bash
# Run the tests: run_tests.sh [unit|docker|image|all]; `all` builds what the others need. The last line is the verdict,
# with the names of failed tests.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
vldock=.venv/bin/vldock
pytest=(.venv/bin/python -m pytest -q)
said=$(mktemp) at="" # what the tests said; the step we are at
step() { at=$*; printf '\n== %s\n' "$*"; }
tests() { "$@" 2>&1 | tee -a "$said"; }
verdict() {
    local code=$? failed
    failed=$(sed -nE 's/^(FAILED|ERROR) (.*)/\2/; T; s/( - |; again: ).*//; p' "$said" | paste -sd ';' | sed 's/;/; /g')
    rm -f "$said"
    if [ "$code" = 0 ]; then printf '\nPASSED %s\n' "$what"; else printf '\nFAILED %s at: %s. %s\n' "$what" "$at" "$failed"; fi
}
trap verdict EXIT

if [ "$what" = unit ] || [ "$what" = all ]; then
    step "checks"
    scripts/run_checks.sh
    step "unit tests"
    tests "${pytest[@]}" -n auto --maxprocesses 8 tests/unit
fi
if [ "$what" = all ]; then
    step "locks agree with their .in files"
    "$vldock" lock --check
    step "engine, base, image (the in-image tests run in its verify stage)"
    "$vldock" engine up
    "$vldock" base
    "$vldock" build
fi
if [ "$what" = image ]; then
    step "in-image tests in a container of the promoted image"
    tests "$vldock" verify --group inside --group gpu
fi
if [ "$what" = all ]; then
    step "verify: the image from outside and inside, and the matrix of 168 cells"
    tests "$vldock" verify
    step "docker tests of the harness itself"
    tests "${pytest[@]}" tests/docker -m "not verify"
fi
if [ "$what" = docker ]; then
    step "docker tests: containers, users, refusals, the matrix of 168 cells"
    tests "${pytest[@]}" tests/docker
fi
