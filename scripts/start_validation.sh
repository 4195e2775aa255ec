#!/usr/bin/env bash
# Test the data set in the cache, then run the preflight of the training, both in the image; train nothing.
#   scripts/start_validation.sh --cache /data/cache [--config flowers.yaml] [KEY=VALUE ...]
# Arguments are those of `vldock train`. Exit status: that of the step that failed, else 0 and the command that trains.
set -euo pipefail
vldock=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv/bin/vldock

cache='' previous='' image=${VLDOCK_IMAGE:-vldock:4.37}
for word in "$@"; do
    case "$previous $word" in
        *" -h" | *" --help") exec sed -n '2,4s/^# //p' "$0" ;;
        *" --cache="*) cache=${word#*=} ;;
        *" --image="*) image=${word#*=} ;;
        "--cache "*) cache=$word ;;
        "--image "*) image=$word ;;
    esac
    previous=$word
done
mounts=()
[ -z "$cache" ] || mounts=(-v "$(realpath "$cache"):/workspace/.cache")

config=$("$vldock" train --print-config "$@")
echo "== 1/2 the data set in the cache"
docker run -i --rm --network none --label vldock.role=train --user "$(id -u):$(id -g)" \
    "${mounts[@]}" "$image" python /workspace/test_hf_cache.py --training - <<< "$config"
echo "== 2/2 the preflight of the training"
"$vldock" train --check "$@"
echo "== both passed. To train:"
printf '%s train%s\n' "$vldock" "${*:+ ${*@Q}}"
