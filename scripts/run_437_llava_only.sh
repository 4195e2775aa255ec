#!/usr/bin/env bash
# Run the 40-cell matrix: both LLaVA-1.5 models, the 20 benchmarks, 10 samples a cell (SAMPLES=N for another number).
# Downloads are kept: tables in $LMUData or .vldock/LMUData, weights in .vldock/cache of this checkout. ./.env is taken.
# Options go to `vldock matrix` and win over these:
#   ./run_437_llava_only.sh --data ~/LMUData --cache ~/vldock-cache --env-file ~/tokens.env
#   ./run_437_llava_only.sh --standin --network none --gpus none
set -euo pipefail

here=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.." && pwd)
vldock=$(command -v "$here/.venv/bin/vldock" || command -v vldock) || {
    "$here/scripts/setup_host.sh"
    vldock=$here/.venv/bin/vldock
}
asked() { local word; for word in "${words[@]}"; do [[ $word == "$1" || $word == "$1="* ]] && return; done; return 1; }
keep() { # OPTION FOLDER WHAT: the folder, made here, unless the option or stand-ins are asked for
    asked "$1" || asked --standin || {
        mkdir -p "$2"
        options+=("$1" "$2")
        echo "$3: $2 (kept; $1 FOLDER for another)" >&2
    }
}

words=("$@")
if asked --resume || asked --help || asked -h; then
    exec "$vldock" matrix "$@"
fi
options=(--models "llava_v1.5_7b,llava_v1.5_13b" --benchmarks all --samples "${SAMPLES:-${VLMEVAL_SAMPLE_LIMIT:-10}}")
keep --data "${LMUData:-$here/.vldock/LMUData}" "benchmarks"
keep --cache "$here/.vldock/cache" "weights"
for file in "$PWD/.env" "$here/.env"; do
    if [ -f "$file" ] && ! asked --env-file; then
        options+=(--env-file "$file")
        echo "tokens: $file" >&2
        break
    fi
done
exec "$vldock" matrix "${options[@]}" "$@"
