"""VLMEvalKit: its import prints nothing."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/vlm/logics.py": (
        Edit(
            """\
    print("Please install pyav to use video processing functions.")
""",
            "    pass  # a video model's need, told to every user of every image benchmark\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_quiet_import",
    package=VLMEVAL,
    reason="every run.py began by asking for pyav, which only one video model needs",
    upstream="open-compass/VLMEvalKit: vlmeval/vlm/logics.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
