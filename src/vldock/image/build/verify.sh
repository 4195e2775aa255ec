#!/bin/bash
# The verify stage's work: run the in-image tests of $1 and leave their report in $2.
set -euo pipefail

tests=$1 receipt=$2
mkdir -p "$receipt"
cd "$tests/image"
PYTHONPATH="$tests" python -m pytest -p no:cacheprovider -q --junit-xml="$receipt/verify.xml" .
