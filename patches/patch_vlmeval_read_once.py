"""VLMEvalKit: a workbook that has not changed is parsed once in a process."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/smp/file.py": (
        Edit(
            """\
    def load_xlsx(f):
        return pd.read_excel(f)
""",
            """\
    def load_xlsx(f):
        from vldock.image.vlmeval_hooks import tables
        return tables.read(pd.read_excel, f)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_read_once",
    package=VLMEVAL,
    reason="scoring and reporting a benchmark read its predictions eight times: seconds each for some thousand rows",
    upstream="open-compass/VLMEvalKit: load() in smp/file.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
