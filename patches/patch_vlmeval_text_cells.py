"""VLMEvalKit: options, questions and predictions stay as written in TSV, CSV and workbooks."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

IMPORT = "from vldock.image.vlmeval_hooks.files import text_cells\n"


def _reads(before: str, call: str, now: str, *, indent: int = 4) -> Edit:
    """Return the edit of a line that reads a table without load().

    `before` is upstream's text that makes it unique.
    """
    blanks = " " * indent
    return Edit(f"{before}{blanks}{call}\n", f"{before}{blanks}{IMPORT}{blanks}{now}\n")


WHOLE = "df = pd.read_excel(eval_file)"
WHOLE_AS_WRITTEN = "df = text_cells.read_workbook(eval_file)"
SCORES = "data = pd.read_excel(score_file)"
SCORES_AS_WRITTEN = "data = text_cells.read_workbook(score_file)"
BOOK = _reads("", "df = pd.read_excel(xlsx_file)", "df = text_cells.read_workbook(xlsx_file)")
TWICE = (
    _reads("recall_score)\n", SCORES, SCORES_AS_WRITTEN),
    _reads("    # Load data\n", SCORES, SCORES_AS_WRITTEN),
)
PAST_LOAD = {
    "vlmeval/dataset/EgoExoBench/utils.py": TWICE,
    "vlmeval/dataset/utils/tamperbench.py": TWICE,
    "vlmeval/dataset/image_mcq.py": (_reads("", WHOLE, WHOLE_AS_WRITTEN, indent=12),),
    "vlmeval/dataset/matbench.py": (_reads("", WHOLE, WHOLE_AS_WRITTEN),),
    "vlmeval/dataset/mmrarebench.py": (
        _reads(
            "",
            "data = pd.read_csv(tsv_path, sep='\\t', encoding='utf-8')",
            "data = text_cells.read_delimited(tsv_path, '\\t')",
        ),
    ),
    "vlmeval/dataset/oceanocr.py": (_reads("", WHOLE, WHOLE_AS_WRITTEN),),
    "vlmeval/dataset/olmOCRBench/evaluator.py": (_reads("", WHOLE, WHOLE_AS_WRITTEN),),
    "vlmeval/dataset/ost_bench.py": (
        _reads("", "df = pd.read_excel(eval_file, sheet_name=0)", WHOLE_AS_WRITTEN, indent=8),
    ),
    "vlmeval/dataset/utils/sarena.py": (
        _reads("", WHOLE, WHOLE_AS_WRITTEN, indent=8),
        _reads("", "df = pd.read_csv(eval_file)", "df = text_cells.read_delimited(eval_file, ',')", indent=8),
    ),
    "vlmeval/dataset/utils/v2pbench/cau_acc.py": (BOOK,),
    "vlmeval/dataset/utils/vcrbench/cau_acc.py": (BOOK,),
}

EDITS = {
    **PAST_LOAD,
    "vlmeval/smp/file.py": (
        Edit(
            "        data.to_excel(f, index=False, engine='xlsxwriter')\n",
            """\
        from vldock.image.vlmeval_hooks.files import text_cells
        text_cells.write_workbook(data, f)
""",
        ),
        Edit(
            "        data.to_csv(f, index=False, encoding='utf-8', quoting=quoting)\n",
            """\
        from vldock.image.vlmeval_hooks.files import text_cells
        text_cells.write_delimited(data, f, ',', quoting)
""",
        ),
        Edit(
            "        data.to_csv(f, sep='\\t', index=False, encoding='utf-8', quoting=quoting)\n",
            """\
        from vldock.image.vlmeval_hooks.files import text_cells
        text_cells.write_delimited(data, f, '\\t', quoting)
""",
        ),
        Edit(
            "        return pd.read_csv(f)\n",
            """\
        from vldock.image.vlmeval_hooks.files import text_cells
        return text_cells.read_delimited(f, ',')
""",
        ),
        Edit(
            "        return pd.read_csv(f, sep='\\t')\n",
            """\
        from vldock.image.vlmeval_hooks.files import text_cells
        return text_cells.read_delimited(f, '\\t')
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_text_cells",
    package=VLMEVAL,
    reason=(
        "an option None or NA is read as missing and never shown, a prediction =5 becomes a formula and is scored as "
        "nan, one over 32,767 characters is cut"
    ),
    upstream="open-compass/VLMEvalKit #1559 #1689: load() and dump() in smp/file.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
