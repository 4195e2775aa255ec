"""VLMEvalKit: predictions are saved after each sample; files are written atomically."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/inference.py": (
        Edit(
            "    for i in tqdm(range(lt), desc=f'Infer {model_name}/{dataset_name}, Rank {rank}/{world_size}'):\n",
            """\
    from vldock.image.vlmeval_hooks.files import atomic
    cadence = atomic.Cadence(lt)
    for i in tqdm(range(lt), desc=f'Infer {model_name}/{dataset_name}, Rank {rank}/{world_size}'):
""",
        ),
        Edit(
            "        if (i + 1) % 10 == 0:\n",
            """\
        from vldock.image.vlmeval_hooks.provenance import prompts
        prompts.flush()  # first: what is saved is explained
        if cadence.due():
""",
        ),
    ),
    "vlmeval/smp/vlm.py": (
        # two containers, or two ranks, may decode the same image at once
        Edit(
            "        os.makedirs(base_dir, exist_ok=True)\n    image.save(image_path)\n",
            """\
        os.makedirs(base_dir, exist_ok=True)
    from vldock.image.vlmeval_hooks.files import atomic
    atomic.save_image(image, image_path)
""",
        ),
    ),
    "vlmeval/smp/file.py": (
        Edit(
            """\
    suffix = f.split('.')[-1]
    try:
        return handlers[suffix](data, f, **kwargs)
""",
            """\
    suffix = f.split('.')[-1]
    from vldock.image.vlmeval_hooks.files import atomic
    try:
        return atomic.write(handlers[suffix], data, f, **kwargs)
""",
        ),
        Edit(
            "        return dump_pkl(data, pkl_file, **kwargs)\n",
            "        return atomic.write(dump_pkl, data, pkl_file, **kwargs)\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_atomic_files",
    package=VLMEVAL,
    reason=(
        "predictions are saved every tenth sample, in place, so that a kill loses up to nine and may leave a torn "
        "file; an image that another process is decoding is read half"
    ),
    upstream="open-compass/VLMEvalKit: infer_data() in inference.py, dump() in smp/file.py, smp/vlm.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
