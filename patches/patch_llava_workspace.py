"""LLaVA: three modules for a workspace, each a door to vldock.image.workspace."""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Patch

BUILDER = '''"""load_pretrained_model for names: weights/ or models/, else the one cache (added by vldock)."""

from vldock.image.workspace.builder import load_pretrained_model_workspace

__all__ = ["load_pretrained_model_workspace"]
'''

CLIP = '''"""The CLIP tower from the one cache, at the locked revision (added by vldock)."""

from vldock.image.workspace.clip import WorkspaceCLIPVisionTower, build_workspace_vision_tower

__all__ = ["WorkspaceCLIPVisionTower", "build_workspace_vision_tower"]
'''

TRAIN = '''"""Training with data/, checkpoints/ and every cache in the workspace (added by vldock).

python llava/train/workspace_train.py --help
"""

import sys

from vldock.image.training.workspace_entry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''

PATCH = Patch(
    name="llava_workspace",
    package=LLAVA,
    reason="names are resolved by their spelling, and weights go wherever each library keeps its own",
    upstream="haotian-liu/LLaVA: nothing there; llava/model/builder.py and train/train.py take paths only",
    new_files={
        "llava/model/workspace_builder.py": BUILDER,
        "llava/model/multimodal_encoder/workspace_clip_encoder.py": CLIP,
        "llava/train/workspace_train.py": TRAIN,
    },
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
