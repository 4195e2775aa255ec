#!/bin/bash
# Test the data set in the cache, then run the preflight of the training; train nothing. Arguments are those of `train`:
#   start_validation.sh [--config flowers.yaml] [KEY=VALUE ...]
# Exit status: that of the step that failed (test_hf_cache.py, train --check), else 0 and the command that trains.
set -euo pipefail

case " $* " in
    *" -h "* | *" --help "*)
        sed -n '2,4s/^# //p' "$0"
        exit 0
        ;;
esac
config=$(python -m vldock.image train --print-config "$@")

echo "== 1/2 the data set in the cache"
python /workspace/scripts/test_hf_cache.py --training - <<< "$config"
echo "== 2/2 the preflight of the training"
python -m vldock.image train --check "$@"
echo "== both passed. To train:"
printf 'python -m vldock.image train%s\n' "${*:+ ${*@Q}}"
