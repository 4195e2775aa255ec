"""Whether this process is timed. Imports nothing where it is not."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def measure(environ: Mapping[str, str]) -> None:
    """Time this process where VLDOCK_PHASES names a file for that (phases.py)."""
    if file := environ.get("VLDOCK_PHASES", "").strip():
        from vldock.image.timing import phases

        phases.begin(file)


def begin_again() -> None:
    """Have this process's time begin now, where it is timed: a fork that waited has done nothing so far."""
    if phases := sys.modules.get("vldock.image.timing.phases"):
        phases.begin_again()
