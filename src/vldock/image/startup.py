"""What every in-image command does before anything heavy is imported."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

from vldock.common import preflight
from vldock.image import late_module
from vldock.image.measuring import measure
from vldock.image.vlmeval_hooks import lazy

BANNER = "STAND-IN: tiny models on made-up samples. No score below says anything about a real model."


def prepare(*, standin_data: str | None = None) -> bool:
    """Point this process at the stand-ins when VLDOCK_STANDIN asks for them, and at folders it can write.

    `standin_data` is the $LMUData of the process this is a fork of, which has done so: it serves this one, too.
    Returns whether the stand-ins are in use. Raises EnvironmentUnfit when nothing can be written.
    """
    standin = preflight.wants_standin(os.environ)
    if standin:
        from vldock.image.standin.activate import activate

        activate(os.environ, scratch=Path(standin_data).parent if standin_data else None, checked=bool(standin_data))
        print(BANNER, file=sys.stderr, flush=True)
    preflight.apply(os.environ)
    prepare_imports()
    measure(os.environ)
    return standin


def prepare_imports() -> None:
    """Put off what is seldom needed, and silence two messages about what is so on purpose.

    TRANSFORMERS_CACHE is set; bitsandbytes is idle on a CPU.
    """
    if not lazy.at_once():
        late_module.put_off("bitsandbytes")
    warnings.filterwarnings("ignore", message="Using `TRANSFORMERS_CACHE` is deprecated", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
