#!/usr/bin/env bash
# Run all static checks; write nothing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
bin=.venv/bin failed=0

check() {
    local name=$1 log
    shift
    if log=$("$@" 2>&1); then
        printf 'ok    %s\n' "$name"
    else
        printf 'FAIL  %s\n%s\n' "$name" "$log"
        failed=1
    fi
}

check "generated text" "$bin/vldock" generate --check
check "ruff" "$bin/ruff" check .
check "mypy" "$bin/mypy"
check "imports" "$bin/lint-imports"
check "hadolint" "$bin/hadolint" docker/transformers-4.37/Dockerfile
check "shellcheck" "$bin/shellcheck" --severity=style ./*.sh scripts/*.sh src/vldock/image/{build,entrypoints,entrypoints/scripts}/*.sh .ci/run
exit "$failed"
