#!/usr/bin/env bash
# A bundle made, carried, loaded into an empty place, and all 40 cells finished there twice: on folders of the caller's,
# and on a read-only store as another uid with the offline switches set. The stand-ins play the part of weights and data.
# What was done stays in outputs/closed-proof; more arguments go to pytest. VLDOCK_IMAGE names another image.
set -euo pipefail
cd "$(dirname "$0")/.."

kept=outputs/closed-proof
mkdir -p outputs
VLDOCK_CLOSED=all nice .venv/bin/python -m pytest -q --durations=5 --basetemp="$kept" tests/docker/test_closed_cluster.py "$@"
printf '\nreports:\n'
ls "$PWD/$kept"/closed[0-9]*/{own,shared}/*/EVALUATION_REPORT.md
