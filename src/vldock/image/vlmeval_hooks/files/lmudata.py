"""$LMUData, the folder of benchmark files and their images."""

from __future__ import annotations

import os
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit


def require_writable(root: Path) -> Path:
    """Create `root` if missing and return it.

    Raises EnvironmentUnfit if it is read-only.
    VLMEvalKit decodes each benchmark's images into $LMUData/images.
    """
    hint = f"mount a folder you own, -v HOST_FOLDER:{root}, or name another one, -e LMUData=FOLDER"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentUnfit(f"$LMUData {root} cannot be made: {error.strerror}", hint=hint) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise EnvironmentUnfit(
            f"$LMUData {root} cannot be written by uid {os.getuid()}",
            expected="a writable folder: benchmark images are decoded into its images/",
            hint=hint,
        )
    return root
