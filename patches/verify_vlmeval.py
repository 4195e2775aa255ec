"""Check the patched VLMEvalKit in this fresh process.

Import, TLS, commit, data root, number of models.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from pathlib import Path

EXPECTED_MODELS = 500
DATA_ROOT = "LMUData"


def check() -> str:
    """Return one summary line; raise AssertionError at the first fault."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "GPU-00000000-0000-0000-0000-000000000000"
    absent = str(Path(tempfile.gettempdir(), "vldock-no-such-folder"))
    os.environ[DATA_ROOT] = absent
    import vlmeval.run
    from vlmeval.config import supported_VLM
    from vlmeval.smp import LMUDataRoot, githash

    context = ssl._create_default_https_context()
    wrong = []
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        wrong.append("TLS verification is off")
    if len(githash(digits=None)) != 40:
        wrong.append(f"githash() is {githash(digits=None)!r}")
    if LMUDataRoot() != absent:
        wrong.append(f"LMUDataRoot() is {LMUDataRoot()}, not ${DATA_ROOT}")
    if len(supported_VLM) < EXPECTED_MODELS:
        wrong.append(f"only {len(supported_VLM)} models are known")
    if wrong:
        raise AssertionError("; ".join(wrong))
    return f"vlmeval verified: {vlmeval.run.__file__}, commit {githash()}, {len(supported_VLM)} models"


if __name__ == "__main__":
    print(check())
    sys.exit(0)
