"""The image's HEALTHCHECK: exit 0 where this container can evaluate, else 1.

Prints one line per reason. The path of this file is named in images already shipped (HEALTHCHECK, sessions): it must
stay here.

Checked: outputs, data and caches writable; free disk; and, where the container was started with a GPU, that the driver
still answers. A container can lose its GPU while it runs (a systemd reload on the host, NVIDIA container toolkit #48),
and nothing else says so until the next evaluation fails. Runs without site-packages: a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

MINIMUM_FREE = 256 * 1024**2  # bytes: results and logs, not weights
FOLDERS = ("/workspace/outputs", "/workspace/LMUData", "/workspace/.cache")


def unwritable(folder: str) -> str | None:
    """Return why a file cannot be made in `folder`; None when one can.

    A root that is read-only on purpose is no reason.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        if error.errno == 30:  # EROFS: --read-only without a mount there; runs then write below /tmp and say so
            return None
        return f"{folder} cannot be written: {error.strerror}"


def short_of_disk(folder: str) -> str | None:
    """Return a reason when less than MINIMUM_FREE bytes are left in `folder`."""
    free = shutil.disk_usage(folder).free if Path(folder).exists() else MINIMUM_FREE
    return f"{folder} has {free // 1024**2} MiB left, {MINIMUM_FREE // 1024**2} needed" if free < MINIMUM_FREE else None


def lost_gpu() -> str | None:
    """Return a reason when device files are here and NVML does not answer."""
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return None
    try:
        code = int(ctypes.CDLL("libnvidia-ml.so.1").nvmlInit_v2())
    except OSError as error:
        return f"GPU device files are present and the driver's library is not: {error}"
    return None if code == 0 else f"the GPU driver no longer answers (nvmlInit: {code}); start the container again"


def reasons(environ: Mapping[str, str]) -> list[str]:
    """Return every reason why this container cannot evaluate."""
    folders = (*FOLDERS[:1], environ.get("LMUData", FOLDERS[1]), *FOLDERS[2:])
    found = [unwritable(folder) for folder in folders] + [short_of_disk(folders[0]), lost_gpu()]
    return [reason for reason in found if reason]


def main() -> int:
    problems = reasons(os.environ)
    print("\n".join(problems) or "healthy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
