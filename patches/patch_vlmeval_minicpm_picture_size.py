"""VLMEvalKit: MiniCPM-V 2.6 enlarges a picture by its own sample's random number."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

PATCH = Patch(
    name="vlmeval_minicpm_picture_size",
    package=VLMEVAL,
    reason=(
        "the sizes pictures are enlarged to come from one sequence of random numbers, so that inputs and answers "
        "differ with what ran before: other benchmarks, a resumed run, other ranks, a session"
    ),
    upstream="ms-vlmeval 0.0.20: MiniCPM_V_2_6.generate_inner_transformers() in vlmeval/vlm/minicpm_v.py",
    edits={
        "vlmeval/vlm/minicpm_v.py": (
            Edit(
                "    def generate_inner_transformers(self, message, dataset=None):\n",
                """\
    def generate_inner_transformers(self, message, dataset=None):
        from vldock.image.vlmeval_hooks.models import minicpm
        random = minicpm.seed_sizes(message, dataset)
""",
            ),
        ),
    },
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
