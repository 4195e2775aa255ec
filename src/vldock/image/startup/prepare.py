"""Preparation of every in-image command, before anything heavy is imported."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

from vldock.common import preflight, standin_choice
from vldock.image.process import deferred_module, env_file, lazy_imports
from vldock.image.remote_code import loading
from vldock.image.startup.data_root import lmu_data_root
from vldock.image.timing.switch import measure

BANNER = "STAND-IN: tiny models on {samples}. No score below says anything about a real model."


def prepare(*, parent: Mapping[str, str] | None = None) -> bool:
    """Load .env, then point this process at the stand-ins and at writable folders.

    At the stand-ins only where VLDOCK_STANDIN requests them.
    `parent` is the environment of the prepared process this is a fork of: its samples are reused. Returns whether the
    stand-ins are in use. Raises EnvironmentUnfit where nothing can be written, UsageError for an invalid
    VLDOCK_STANDIN.
    """
    env_file.load_mounted()
    standin, before = standin_choice.read_choice(os.environ), standin_choice.read_choice(parent or {})
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
    """Return the banner's text about the samples.

    Names the user's tables that are not read, and how to read them.
    """
    data = lmu_data_root()
    if standin == standin_choice.WEIGHTS:
        return f"the tables in {data}"
    unread = any(data.glob("*.tsv"))
    cure = f"{standin_choice.VARIABLE}={standin_choice.WEIGHTS} reads those in {data}"
    return f"made-up samples ({cure})" if unread else "made-up samples"


def prepare_imports() -> None:
    """Defer bitsandbytes, hook remote code, and silence two messages about intended settings.

    TRANSFORMERS_CACHE is set; bitsandbytes is unused on a CPU.
    """
    if not lazy_imports.eager():
        deferred_module.defer("bitsandbytes")
    loading.install()
    warnings.filterwarnings("ignore", message="Using `TRANSFORMERS_CACHE` is deprecated", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
