"""VLMEvalKit: an unchanged workbook is parsed once per process.

For summaries it is counted once, too.
"""

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
        from vldock.image.vlmeval_hooks.files import text_cells, workbooks
        return workbooks.read(text_cells.read_workbook, f)
""",
        ),
    ),
    "vlmeval/smp/status_report.py": (
        Edit(
            """\
def collect_run_benchmark_report(run_dir):
    run_dir = Path(run_dir)
""",
            """\
def collect_run_benchmark_report(run_dir, only=None):
    from vldock.image.vlmeval_hooks.run import report_counts
    run_dir = Path(run_dir)
    counts = report_counts.Counts(run_dir)
""",
        ),
        Edit(
            """\
        if not isinstance(dataset_status, dict):
            continue

        pred_path""",
            """\
        if not isinstance(dataset_status, dict) or (only is not None and dataset_name not in only):
            continue

        pred_path""",
        ),
        Edit(
            """\
        reporter = _resolve_dataset_reporter(dataset_name)
""",
            """\
        reporter = counts.reporter(_resolve_dataset_reporter(dataset_name), model_name, dataset_name)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_read_once",
    package=VLMEVAL,
    reason=(
        "scoring and reporting a benchmark read its predictions eight times, and the summary at each end those of "
        "every benchmark in the folder: seconds each for some thousand rows"
    ),
    upstream="open-compass/VLMEvalKit: load() in smp/file.py, collect_run_benchmark_report() in smp/status_report.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
