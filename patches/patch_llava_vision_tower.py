"""LLaVA: any CLIP vision tower loads, decided by its own config and not by the first letters of its name."""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Edit, Patch

EDITS = {
    "llava/model/multimodal_encoder/builder.py": (
        Edit(
            "    raise ValueError(f'Unknown vision tower: {vision_tower}')",
            """\
    from vldock.image.llava_hooks import loading

    loading.require_clip(vision_tower)
    return CLIPVisionTower(vision_tower, args=vision_tower_cfg, **kwargs)""",
        ),
    ),
}

PATCH = Patch(
    name="llava_vision_tower",
    package=LLAVA,
    reason="a CLIP tower whose name starts neither with openai nor laion is refused as unknown",
    upstream="haotian-liu/LLaVA: multimodal_encoder/builder.py; open-compass/VLMEvalKit asks to edit it by hand",
    edits=EDITS,
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
