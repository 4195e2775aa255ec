"""VLMEvalKit: $LMUData is the data folder, created if missing; never a silent ~/LMUData."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/smp/file.py": (
        Edit(
            """\
    if 'LMUData' in os.environ and osp.exists(os.environ['LMUData']):
        return os.environ['LMUData']
    home = osp.expanduser('~')
    root = osp.join(home, 'LMUData')
    os.makedirs(root, exist_ok=True)
    return root
""",
            """\
    from vldock.image.startup.data_root import lmu_data_root
    return str(lmu_data_root())
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_data_root",
    package=VLMEVAL,
    reason="LMUDataRoot() falls back to ~/LMUData without a word when $LMUData does not exist yet",
    upstream="open-compass/VLMEvalKit: vlmeval/smp/file.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
