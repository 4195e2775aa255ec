"""Output folder of a run, and marks of stand-ins.

The marks are those of a run made with stand-ins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldock.common import standin_choice
from vldock.common.cache_env import OUTPUTS

STANDIN = "STAND-IN"
STANDIN_NOTE = (
    "STAND-IN: these results were made with vldock's tiny stand-in weights (VLDOCK_STANDIN).\n"
    "They show that the pipeline works. No number here is a score of the model it is named after.\n"
)


def is_standin(env: Mapping[str, str] | None = None) -> bool:
    """Return whether this process evaluates stand-ins."""
    return bool(standin_choice.read_choice(os.environ if env is None else env))


def default_work_dir(env: Mapping[str, str] | None = None) -> str:
    """Return the default of --work-dir.

    $VLDOCK_OUTPUTS or /workspace/outputs, and STAND-IN below it for stand-ins.
    """
    env = os.environ if env is None else env
    outputs = Path(env.get("VLDOCK_OUTPUTS") or OUTPUTS)
    return str(outputs / STANDIN if is_standin(env) else outputs)


def make_pred_root(args: Any, model: str) -> str:
    """Create, mark and return the folder for a model's files.

    `args.pred_root` if set, else work_dir/model.
    """
    folder = Path(getattr(args, "pred_root", None) or Path(args.work_dir) / model)
    folder.mkdir(parents=True, exist_ok=True)
    if is_standin():
        (folder / f"{STANDIN}.txt").write_text(STANDIN_NOTE, encoding="utf-8")
    return str(folder)
