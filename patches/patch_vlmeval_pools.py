"""VLMEvalKit: few open answers are scored without a process pool."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

POOL = "from vldock.image.vlmeval_hooks.process import scoring_pool\n"
EDITS = {
    "vlmeval/dataset/image_vqa.py": (
        Edit(
            """\
        pool = mp.Pool(16)
        lines = [data.iloc[i] for i in range(lt)]
        if listinstr(['TextVQA'], dataset):
""",
            f"""\
        {POOL}\
        pool = scoring_pool.make(lt)
        lines = [data.iloc[i] for i in range(lt)]
        if listinstr(['TextVQA'], dataset):
""",
        ),
        Edit(
            """\
            pool = mp.Pool(16)
            lines = [data.iloc[i] for i in range(lt)]
            res = pool.map(process_line, lines)

            hit = hit_calculate(res, 'VizWiz')
""",
            f"""\
            {POOL}\
            pool = scoring_pool.make(lt)
            lines = [data.iloc[i] for i in range(lt)]
            res = pool.map(process_line, lines)

            hit = hit_calculate(res, 'VizWiz')
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_pools",
    package=VLMEVAL,
    reason="16 forks of a process with torch in it, to score ten short answers, take longer than everything else",
    upstream="open-compass/VLMEvalKit: ImageVQADataset and VizWiz in dataset/image_vqa.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
