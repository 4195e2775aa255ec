"""LLaVA: images of 1 or 3 pixels a side are accepted."""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Edit, Patch

EDITS = {
    "llava/mm_utils.py": (
        Edit(
            "            image = expand2square(image, tuple(int(x*255) for x in image_processor.image_mean))\n",
            """\
            image = expand2square(image, tuple(int(x*255) for x in image_processor.image_mean))
            from vldock.image.llava_hooks import small_pictures
            image = small_pictures.enlarge_ambiguous(image)
""",
        ),
    ),
}

PATCH = Patch(
    name="llava_small_pictures",
    package=LLAVA,
    reason="the height of a picture of 1 or 3 pixels is taken for its colours: an error, or other pixels",
    upstream="haotian-liu/LLaVA: process_images() in mm_utils.py; transformers 4.37.2 image_utils.py",
    edits=EDITS,
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
