"""VLMEvalKit: CUDA_VISIBLE_DEVICES may hold UUIDs (GPU-..., MIG-...)."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            "        gpu_list = [int(x) for x in CUDA_VISIBLE_DEVICES.split(',')]\n",
            "        gpu_list = [x.strip() for x in CUDA_VISIBLE_DEVICES.split(',') if x.strip()]  # or UUIDs\n",
        ),
    ),
    "vlmeval/smp/misc.py": (
        Edit(
            "    devices = [int(x) for x in devices.split(',')]\n",
            """\
    devices = [x.strip() for x in devices.split(',') if x.strip()]  # numbers or UUIDs
    devices = [int(x) if x.isdigit() else x for x in devices]
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_cuda_devices",
    package=VLMEVAL,
    reason="run.py dies with ValueError on CUDA_VISIBLE_DEVICES=GPU-uuid",
    upstream="open-compass/VLMEvalKit: get_gpu_list() in run.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
