"""What every in-image command does before anything heavy is imported."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

from vldock.common import preflight, standin_choice
from vldock.image.process import deferred_module, lazy_imports
from vldock.image.startup.data_root import lmu_data_root
from vldock.image.timing.switch import measure

BANNER = "STAND-IN: tiny models on {samples}. No score below says anything about a real model."


def prepare(*, parent: Mapping[str, str] | None = None) -> bool:
    """Point this process at the stand-ins when VLDOCK_STANDIN asks for them, and at folders it can write.

    `parent` is the environment of the process this is a fork of, which has done so: its samples serve this one, too.
    Returns whether the stand-ins are in use. Raises EnvironmentUnfit when nothing can be written, UsageError for a
    VLDOCK_STANDIN that means nothing.
    """
    standin, before = standin_choice.asked(os.environ), standin_choice.asked(parent or {})
    if standin:
        from vldock.image.standin.activate import activate

        print(BANNER.format(samples=_samples(standin)), file=sys.stderr, flush=True)
        scratch = Path(parent["LMUData"]).parent if parent and before == standin_choice.ALL else None
        activate(os.environ, samples=standin == standin_choice.ALL, scratch=scratch, checked=bool(before))
    preflight.apply(os.environ)
    prepare_imports()
    measure(os.environ)
    return bool(standin)


def _samples(standin: str) -> str:
    """Return what the stand-ins will be asked; tables of the user's that are not read are named with the cure."""
    data = lmu_data_root()
    if standin == standin_choice.WEIGHTS:
        return f"the tables in {data}"
    unread = any(data.glob("*.tsv"))
    cure = f"{standin_choice.VARIABLE}={standin_choice.WEIGHTS} reads those in {data}"
    return f"made-up samples ({cure})" if unread else "made-up samples"


def prepare_imports() -> None:
    """Put off what is seldom needed, and silence two messages about what is so on purpose.

    TRANSFORMERS_CACHE is set; bitsandbytes is idle on a CPU.
    """
    if not lazy_imports.eager():
        deferred_module.defer("bitsandbytes")
    warnings.filterwarnings("ignore", message="Using `TRANSFORMERS_CACHE` is deprecated", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
