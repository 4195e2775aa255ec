#!/usr/bin/env bash
# Run the 40-cell matrix: both LLaVA-1.5 models, the 20 benchmarks, 10 samples a cell (SAMPLES=N for another number).
# Extra arguments go to `vldock matrix`:
#   scripts/run_437_llava_only.sh --data ~/LMUData --cache ~/vldock-cache --env-file .env
#   scripts/run_437_llava_only.sh --standin --network none --gpus none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
vldock=$(command -v "$here/.venv/bin/vldock" || command -v vldock) || {
    echo "error: vldock is not installed" >&2
    echo "hint: scripts/setup_host.sh" >&2
    exit 3
}

exec "$vldock" matrix \
    --models llava_v1.5_7b,llava_v1.5_13b \
    --benchmarks all \
    --samples "${SAMPLES:-${VLMEVAL_SAMPLE_LIMIT:-10}}" \
    "$@"
