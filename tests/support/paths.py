"""Folders: the checkout the tests run from, its command, and the folders a container may write to."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from vldock.common.cache_env import CACHE_ROOT, LMUDATA, OUTPUTS

ROOT = Path(__file__).resolve().parents[2]
VLDOCK = (sys.executable, "-c", "from vldock.host.cli.main import main; main()")
WRITABLE = (CACHE_ROOT, OUTPUTS, LMUDATA, "/tmp")


def is_writable(path: str) -> bool:
    """Return whether an absolute path in a container lies where it may write."""
    return any(PurePosixPath(path).is_relative_to(root) for root in WRITABLE)
