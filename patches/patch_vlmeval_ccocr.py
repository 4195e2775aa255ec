"""VLMEvalKit: CC-OCR without its evaluator is an error, not a score of 0."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/dataset/image_ccocr.py": (
        Edit(
            """\
        try:
            from .utils.ccocr_evaluator import evaluator_map_info as ccocr_evaluator_map
        except ImportError as err:
            import warnings
            warnings.warn('The dependency of CCOCR evaluator is not properly installed')
            warnings.warn(f'{type(err)}: {err}')
            return None, None
""",
            """\
        # No try/except: without its evaluator a benchmark is not worth 0, it is not scored.
        from .utils.ccocr_evaluator import evaluator_map_info as ccocr_evaluator_map
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_ccocr",
    package=VLMEVAL,
    reason="an evaluator that cannot be imported is a warning, and the benchmark is reported as 0",
    upstream="open-compass/VLMEvalKit: CCOCRDataset in dataset/image_ccocr.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
