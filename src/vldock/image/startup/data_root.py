"""$LMUData: the folder of benchmark files and their images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vldock.common.cache_env import LMUDATA


def lmu_data_root(env: Mapping[str, str] | None = None) -> Path:
    """Return $LMUData, else /workspace/LMUData.

    Creates nothing, since upstream calls it while it is imported.
    """
    return Path((os.environ if env is None else env).get("LMUData") or LMUDATA)
