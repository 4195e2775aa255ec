"""The user's offline setting, read as the libraries read it, never changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

# In the order in which the libraries ask (datasets/config.py, huggingface_hub/constants.py): the first that is set
# decides; an empty value counts as set for datasets only.
VARIABLES = ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True)
class Mode:
    """Network mode: whether requests to the Hub are allowed.

    `variable` decided it; None where no variable is set.
    """

    offline: bool
    variable: str | None
    value: str | None = None

    def __str__(self) -> str:
        if self.variable is None:
            return "online: no offline variable is set, the Hub is asked where the cache has nothing"
        state = "offline: the Hub is never asked" if self.offline else "online"
        return f"{state} ({self.variable}={self.value})"


def current(environ: Mapping[str, str] = os.environ) -> Mode:
    """Return the network mode of this process.

    That of the imported library, which reads its variables once, else that of the variables.
    """
    said = _of_variables(environ)
    library = sys.modules.get("datasets.config")
    if library is None or bool(library.HF_HUB_OFFLINE) is said.offline:
        return said
    return Mode(bool(library.HF_HUB_OFFLINE), "datasets.config.HF_HUB_OFFLINE", str(library.HF_HUB_OFFLINE))


def _of_variables(environ: Mapping[str, str]) -> Mode:
    for name in VARIABLES:
        value = environ.get(name)
        if value or (value is not None and name == "HF_DATASETS_OFFLINE"):
            return Mode(value.upper() in TRUE, name, value)
    return Mode(False, None)
