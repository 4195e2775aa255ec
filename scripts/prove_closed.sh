#!/usr/bin/env bash
# Prove that a bundle suffices offline: make it, load it into an empty place, and finish all 40 cells there twice: on
# the caller's folders, and on a read-only store as another uid with the offline switches set. Stand-ins serve as
# weights and data. Results remain in outputs/closed-proof; more arguments go to pytest. VLDOCK_IMAGE names another image.
set -euo pipefail
cd "$(dirname "$0")/.."

kept=outputs/closed-proof
mkdir -p outputs
VLDOCK_CLOSED=all nice .venv/bin/python -m pytest -q --durations=5 --basetemp="$kept" tests/docker/test_closed_cluster.py "$@"
printf '\nreports:\n'
ls "$PWD/$kept"/closed[0-9]*/{own,shared}/*/EVALUATION_REPORT.md
