"""VLMEvalKit: githash() returns the commit of the wheel's sources."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL, VLMEVAL_COMMIT
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/smp/misc.py": (
        Edit(
            """\
        out = _minimal_ext_cmd(['git', 'rev-parse', 'HEAD'], cwd=vlmeval.__path__[0])
        sha = out.strip().decode('ascii')
""",
            f"        sha = '{VLMEVAL_COMMIT}'  # baked in: the wheel has no .git to ask\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_commit",
    package=VLMEVAL,
    reason="without a git checkout githash() returns an empty string, so results record no commit",
    upstream="open-compass/VLMEvalKit: vlmeval/smp/misc.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
