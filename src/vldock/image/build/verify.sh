#!/bin/bash
# Stage verify: run the in-image tests of $1 and write their receipt below $2, the tree that promote copies. It holds no
# time and no path, so that two builds of the same inputs leave the same bytes.
set -euo pipefail

tests=$1 root=$2
receipt=$root/opt/vldock
mkdir -p "$receipt"
cd "$tests/image"
PYTHONPATH="$tests" python -m pytest -p no:cacheprovider -q -n auto --maxprocesses 8 --dist loadfile --durations 15 \
    --junit-xml=/tmp/verify.xml .
python -m vldock.image.build.verify_receipt /tmp/verify.xml "$tests/image" "$receipt/verify.json"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
