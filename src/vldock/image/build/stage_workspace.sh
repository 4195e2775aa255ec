#!/bin/bash
# Stage lock: fill /stage with vldock, LLaVA and VLMEvalKit, patched and verified.
set -euo pipefail

stage=/stage site=/opt/venv/lib/python3.11/site-packages lock=/stage/opt/vldock/locks/transformers-4.37.lock
mkdir -p "$stage"/workspace/{scripts,outputs,LMUData,.cache}
cp -a /editable/workspace/. "$stage/workspace/"
cp -r "$stage/opt/vldock/vldock/image/entrypoints/." "$stage/workspace/"

# vldock is importable; a later `pip install` keeps the pins.
mkdir -p "$stage$site"
# In a Python started with a HF_HOME or HF_HUB_CACHE of the user's, what is below it follows (common/caches/hf_home.py).
cat > "$stage$site/vldock.pth" << 'PTH'
/opt/vldock
import os; os.environ.get("HF_HOME", "/workspace/.cache/huggingface") == os.environ.get("HUGGINGFACE_HUB_CACHE", "/workspace/.cache/huggingface") == "/workspace/.cache/huggingface" and not os.environ.get("HF_HUB_CACHE") or __import__("vldock.common.caches.hf_home", fromlist=["apply"]).apply(os.environ)
PTH
ln -s /workspace/scripts/setup_workspace_cache.py "$stage/opt/vldock/"  # `import setup_workspace_cache` works anywhere
# One cache root, and doors at the places people type; a link runs with its target's folder on sys.path.
ln -s .cache "$stage/workspace/cache"
ln -s scripts/setup_workspace_cache.py scripts/predict.py /usr/local/bin/entrypoint.sh "$stage/workspace/"
ln -s ../scripts/setup_workspace_cache.py "$stage/workspace/LLaVA/"
grep -oE '^[A-Za-z0-9._-]+==[^ \]+' "$lock" > "$stage/opt/vldock/constraints.txt"

# Patches meet the files at their final paths, so that tracebacks and checks name what the user sees.
rm -rf /workspace /opt/vldock
ln -s "$stage/workspace" /workspace
ln -s "$stage/opt/vldock" /opt/vldock
cp "$stage$site/vldock.pth" "$site/"
HOME=/tmp /opt/venv/bin/python /opt/vldock/patches/apply_all.py --llava /workspace/LLaVA --vlmeval /workspace/VLMEvalKit
HOME=/tmp PYTHONHASHSEED=0 /opt/venv/bin/python -m vldock.image.build.index_benchmarks
/opt/venv/bin/python "$stage/opt/vldock/vldock/image/build/build_facts.py" --stage "$stage" --base "$BASE"

# checked-hash: an edit under /workspace takes effect at once, as editable promises.
find "$stage" -name __pycache__ -prune -exec rm -rf {} +
PYTHONDONTWRITEBYTECODE=1 /opt/venv/bin/python -m compileall -q -f -j 2 --invalidation-mode checked-hash -x '/standin/assets/' -s "$stage" \
    "$stage/workspace/LLaVA" "$stage/workspace/VLMEvalKit/vlmeval" "$stage/opt/vldock/vldock" > /tmp/compileall.log || {
    grep -v '^\*\*\*\|SyntaxWarning' /tmp/compileall.log || true; }
chmod 0755 "$stage/usr/local/bin/entrypoint.sh"
chmod -R u+rwX,go+rX,go-w "$stage"
# Any user may write here, and a group may share it.
chmod 0777 "$stage"/workspace/{outputs,LMUData,.cache}
find "$stage" -newermt "@${SOURCE_DATE_EPOCH}" -exec touch -hcd "@${SOURCE_DATE_EPOCH}" {} +
