"""Switch for timing this process; imports nothing where it is off."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def measure(environ: Mapping[str, str]) -> None:
    """Time this process where VLDOCK_PHASES names a file (phases.py)."""
    if file := environ.get("VLDOCK_PHASES", "").strip():
        from vldock.image.timing import phases

        phases.begin(file)


def restart() -> None:
    """Restart the timing, if this process is timed.

    Called by a fork that waited.
    """
    if phases := sys.modules.get("vldock.image.timing.phases"):
        phases.restart()
