"""LLaVA: any CLIP vision tower loads, by its own config, with the attention that is asked for.

The first letters of its name no longer decide.
"""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Edit, Patch

EDITS = {
    "llava/model/multimodal_encoder/builder.py": (
        # a local folder is looked at like any other name, or a SigLIP one would be read as CLIP without a word
        Edit(
            """if is_absolute_path_exists or vision_tower.startswith("openai")""",
            """if vision_tower.startswith("openai")""",
        ),
        Edit(
            "    raise ValueError(f'Unknown vision tower: {vision_tower}')",
            """\
    from vldock.image.llava_hooks import loading

    loading.require_clip(vision_tower)
    return CLIPVisionTower(vision_tower, args=vision_tower_cfg, **kwargs)""",
        ),
    ),
    "llava/model/multimodal_encoder/clip_encoder.py": (
        Edit(
            "        self.vision_tower.requires_grad_(False)",
            """\
        self.vision_tower.requires_grad_(False)
        from vldock.image.llava_hooks import tower_attention

        tower_attention.apply(self.vision_tower)""",
        ),
    ),
}

PATCH = Patch(
    name="llava_vision_tower",
    package=LLAVA,
    reason="a CLIP tower of another name is refused, and a local folder taken for CLIP unseen; its attention is eager",
    upstream="haotian-liu/LLaVA: multimodal_encoder/builder.py; open-compass/VLMEvalKit asks to edit it by hand",
    edits=EDITS,
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
