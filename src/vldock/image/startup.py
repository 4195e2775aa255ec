"""What every in-image command does before anything heavy is imported."""

from __future__ import annotations

import os
import sys

from vldock.common import preflight

BANNER = "STAND-IN: tiny models on made-up samples. No score below says anything about a real model."
NO = {"", "0", "false", "no", "off"}


def wants_standin(value: str | None) -> bool:
    """Tell whether VLDOCK_STANDIN asks for the stand-ins."""
    return (value or "").strip().lower() not in NO


def prepare(*, banner: bool = True) -> bool:
    """Point this process at folders it can write, and at the stand-ins when VLDOCK_STANDIN asks for them.

    Returns whether the stand-ins are in use. Raises EnvironmentUnfit when nothing can be written.
    """
    preflight.apply(os.environ)
    if not wants_standin(os.environ.get("VLDOCK_STANDIN")):
        return False
    from vldock.image.standin.activate import activate

    activate(os.environ)
    if banner:
        print(BANNER, file=sys.stderr, flush=True)
    return True
