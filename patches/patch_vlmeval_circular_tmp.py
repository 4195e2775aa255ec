"""VLMEvalKit: circular scoring uses a private temporary file."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/dataset/utils/multiple_choice.py": (
        Edit(
            """\
    tmp_pth = f'/tmp/{timestr()}.{tmp_ext}'
    dump(data_main, tmp_pth)
    data_main = load(tmp_pth)
""",
            """\
    from vldock.image.vlmeval_hooks.files import atomic
    data_main = atomic.round_trip(data_main, tmp_ext)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_circular_tmp",
    package=VLMEVAL,
    reason="two evaluations that end in the same second write and read one /tmp/<second>.xlsx",
    upstream="open-compass/VLMEvalKit: mcq_circular_eval() in dataset/utils/multiple_choice.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
