"""VLMEvalKit: an image marker inside a question's text is text."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

SPLIT = """\
        from vldock.image.llava_hooks import markers
        return markers.place_images(msgs)  # upstream's lines below stop at a place without a picture
"""

EDITS = {
    "vlmeval/vlm/llava/llava.py": (
        Edit(
            """\
                text += item["value"]
            elif item["type"] == "image":
                text += " <image> "
""",
            """\
                from vldock.image.llava_hooks import markers
                text += markers.disguise(item["value"])
            elif item["type"] == "image":
                text += " <image> "
""",
        ),
    ),
    "vlmeval/dataset/image_mcq.py": (
        Edit("    def split_MMMU(msgs):\n", f"    def split_MMMU(msgs):\n{SPLIT}"),
        Edit("    def split_LEGO(msgs):\n", f"    def split_LEGO(msgs):\n{SPLIT}"),
    ),
}

PATCH = Patch(
    name="vlmeval_markers",
    package=VLMEVAL,
    reason="a question that says <image>, or <image 3> of two pictures, ends its benchmark",
    upstream="open-compass/VLMEvalKit #150: LLaVA.concat_tilist() in vlm/llava/llava.py, dataset/image_mcq.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
