#!/usr/bin/env bash
# Fine-tune a tiny LLaVA-NeXT on drawn flowers, on a CPU, offline: train, kill, resume, export, evaluate, predict.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:-outputs/train-demo} image=$(.venv/bin/vldock version --tag)
[ ! -e "$work/demo.yaml" ] || { echo "error: $work holds an earlier demonstration; remove it, or name another folder" >&2; exit 2; }
mkdir -p "$work" && work=$(realpath "$work")
read -ra more <<< "${VLDOCK_DEMO_OPTIONS:-}"
boxed=(docker run --rm --network none --label vldock.role=train-demo --user "$(id -u):$(id -g)" -e OMP_NUM_THREADS=1
    -v "$work:/workspace/demo" -e WORKSPACE_ROOT=/workspace/demo "${more[@]}")
step() { printf '\n== %s\n' "$*"; }

step "1/5 drawn flowers, an untrained LLaVA-NeXT and its tower"
"${boxed[@]}" "$image" python -m vldock.image.training.demo.cli /workspace/demo

step "2/5 preflight and training, killed with SIGKILL on its way and started again"
name=vldock-train-demo-$$
"${boxed[@]}" --name "$name" "$image" python -m vldock.image train --config /workspace/demo/demo.yaml &
until [ -e "$work/checkpoints/flowers/last" ]; do kill -0 $! && sleep 1; done
docker kill --signal KILL "$name" > /dev/null; wait $! || echo "killed; exit $?"
"${boxed[@]}" "$image" python -m vldock.image train --config /workspace/demo/demo.yaml

step "3/5 the same run, never killed: the same weights"
"${boxed[@]}" "$image" python -m vldock.image train --no-check --config /workspace/demo/demo.yaml out=checkpoints/whole
cmp "$work"/checkpoints/{flowers,whole}/last/model.safetensors
echo "bit for bit the same: $(sha256sum < "$work/checkpoints/flowers/last/model.safetensors")"

step "4/5 exported, and evaluated by run.py as a model of its own"
"${boxed[@]}" "$image" python -m vldock.image train export checkpoints/flowers --out /workspace/demo/models/llava-flowers
"${boxed[@]}" -e LMUData=/workspace/demo/checkpoints/flowers/heldout -v "$work/outputs:/workspace/outputs" "$image" \
    python /workspace/VLMEvalKit/run.py --data flowers_heldout --model llava-flowers=/workspace/demo/models/llava-flowers

step "5/5 asked by predict.py; and at least 90 % of the held-out flowers must have been right"
"${boxed[@]}" "$image" python /workspace/scripts/predict.py --model /workspace/demo/models/llava-flowers \
    --image /workspace/demo/data/flowers/jpg/image_00061.jpg "Which flower is this?
A. californian poppy
B. corn poppy
C. garden phlox
D. morning glory
E. oxeye daisy
F. sunflower
Answer with the option's letter from the given choices directly."
"${boxed[@]}" "$image" python -m vldock.image.training.demo.cli --require 0.9 /workspace/demo
echo "run page: $work/checkpoints/flowers/page.html"
