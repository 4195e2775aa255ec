"""VLMEvalKit: answers of MiniCPM-V 2.6 do not begin with <|endoftext|>."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

PATCH = Patch(
    name="vlmeval_minicpm_start_token",
    package=VLMEVAL,
    reason=(
        "generate() of transformers 4.37.2 begins an answer to embeddings with the model's start token, which the "
        "remote code (made for 4.40.0) does not strip: '<|endoftext|>A' matches no choice"
    ),
    upstream="ms-vlmeval 0.0.20: MiniCPM_V_2_6 in vlmeval/vlm/minicpm_v.py",
    edits={
        "vlmeval/vlm/minicpm_v.py": (
            Edit(
                "            torch.cuda.empty_cache()\n",
                """\
            torch.cuda.empty_cache()
            from vldock.image.vlmeval_hooks.models import minicpm
            minicpm.set_start_token(self)
""",
            ),
        ),
    },
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
