#!/bin/bash
# Build the feature cache of episode data sets and train both heads from it, with the variables of an earlier script:
#   DATASET_PATHS="/data/day_1 /data/day_2" QWEN_CACHE_ROOT=/data/cache NUM_GPUS=4 /workspace/TOTAL_TRAIN.sh [OPTIONS]
# MAIN_BATCH_SIZE, IMG_HEIGHT and IMG_WIDTH are of the cache. OPTIONS are those of TRAIN_FlowMatching.py, for every step.
# Without DATASET_PATHS a data set is drawn: scripts/total_train.sh.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
if [ -z "${DATASET_PATHS:-}" ]; then
    echo "TOTAL_TRAIN.sh: DATASET_PATHS is not set, so a data set is drawn (scripts/total_train.sh)"
    NPROC=${NUM_GPUS:-${NPROC:-1}} exec "$here/scripts/total_train.sh" "$@"
fi
read -r -a dataset_paths <<< "$DATASET_PATHS"
common=(--dataset_paths "${dataset_paths[@]}" --cache_root "${QWEN_CACHE_ROOT:-$VLDOCK_FEATURES}")
common+=(--image_resize_height "${IMG_HEIGHT:-360}" --image_resize_width "${IMG_WIDTH:-640}" "$@")

echo "=============== 0. VL CACHE BUILDING ==============="
torchrun --standalone --local-addr 127.0.0.1 --nproc_per_node="${NUM_GPUS:-1}" "$here/TRAIN_FlowMatching.py" \
    --mode cache --batch_size "${MAIN_BATCH_SIZE:-8}" --num_workers 8 "${common[@]}"
echo "=============== VL CACHE BUILDING COMPLETE ==============="
echo "=============== 1. REGRESSION ==============="
python "$here/TRAIN_Regression.py" --mode train "${common[@]}"
echo "=============== 2. FLOW MATCHING ==============="
python "$here/TRAIN_FlowMatching.py" --mode train "${common[@]}"
