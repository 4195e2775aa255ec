"""LLaVA: an image marker inside a question's text is tokenized as written."""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Edit, Patch

EDITS = {
    "llava/mm_utils.py": (
        Edit(
            "    prompt_chunks = [tokenizer(chunk).input_ids for chunk in prompt.split('<image>')]\n",
            """\
    from vldock.image.llava_hooks import markers
    prompt_chunks = [tokenizer(markers.restore(chunk)).input_ids for chunk in prompt.split('<image>')]
""",
        ),
    ),
}

PATCH = Patch(
    name="llava_markers",
    package=LLAVA,
    reason="every <image> of a prompt is a place for a picture, those of the question's own text too",
    upstream="haotian-liu/LLaVA: tokenizer_image_token() in mm_utils.py; open-compass/VLMEvalKit #150",
    edits=EDITS,
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
