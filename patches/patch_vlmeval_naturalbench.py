"""VLMEvalKit: NaturalBench can be scored on a part of its rows."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/dataset/image_mcq.py": (
        Edit(
            "        assert len(predictions) == len(answers) == len(indexs) == len(types) == (1900 * 4)\n",
            """\
        assert len(predictions) == len(answers) == len(indexs) == len(types)
        if len(predictions) < 4:
            raise ValueError(f'NaturalBench is scored by groups of 4 samples, and there are {len(predictions)}')
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_naturalbench",
    package=VLMEVAL,
    reason="NaturalBench asserts 7600 rows, so that it fails under any sample limit",
    upstream="open-compass/VLMEvalKit: NaturalBenchDataset.evaluate() in dataset/image_mcq.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
