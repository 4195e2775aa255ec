"""VLMEvalKit: NaturalBench and MME can be scored on their first rows."""

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
    "vlmeval/dataset/utils/yorn.py": (
        # the same for both questions of an image; an image whose second question was cut off counts by its first
        Edit(
            "                values.append(val[0] * val[1])\n        return np.mean(values) * 100\n\n    scores = {}\n",
            "                values.append(np.prod(val))\n        return np.mean(values) * 100\n\n    scores = {}\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_partial_sets",
    package=VLMEVAL,
    reason="under a sample limit NaturalBench asserts 7600 rows, and MME looks for a second question that is cut off",
    upstream="open-compass/VLMEvalKit: NaturalBenchDataset.evaluate() in image_mcq.py, MME_rating() in utils/yorn.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
