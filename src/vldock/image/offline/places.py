"""Folders of cached data sets, by the environment of this moment.

A library reads its variables once; the image sets every variable. So the variables a user gave count first, then what
follows from a HF_HOME that a user gave, then the libraries' own folders, then the image's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common.cache_env import CACHE_ENV

ARROW, HUBS = "HF_DATASETS_CACHE", ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")


@dataclass(frozen=True)
class Places:
    """Folder for new Arrow files, folder of repositories, and further ones to search for either."""

    arrow: Path
    hub: Path
    also: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """Every folder, in the order of the search."""
        return _unique((self.arrow, self.hub, *self.also))


def find_places(cache_dir: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Places:
    """Return the folders of this process.

    `cache_dir` is the one folder of Arrow files where it is given, as for datasets.load_dataset.
    """
    hubs = hub_folders(environ)
    if cache_dir:
        return Places(Path(cache_dir).expanduser(), hubs[0], hubs[1:])
    arrows = arrow_folders(environ)
    return Places(arrows[0], hubs[0], _unique((*arrows[1:], *hubs[1:])))


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return HF_HOME, the image's where it is not set."""
    return Path(environ.get("HF_HOME") or CACHE_ENV["HF_HOME"]).expanduser()


def arrow_folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders of prepared data sets; new ones go to the first."""
    below = f"{home(environ)}/datasets"
    imported = _imported("datasets.config", ARROW)
    return _folders(_given(environ, ARROW), _given(environ, "HF_HOME") and below, imported, environ.get(ARROW) or below)


def hub_folders(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders of repositories: datasets--ORG--NAME.

    HF_HOME/hub is searched too where the variables name another, since a cache from elsewhere has that layout.
    """
    below = f"{home(environ)}/hub"
    imported = _imported("huggingface_hub.constants", "HF_HUB_CACHE")
    set_to = [environ.get(name) for name in HUBS]
    return _folders(
        *(_given(environ, name) for name in HUBS), _given(environ, "HF_HOME") and below, imported, *set_to, below
    )


def _given(environ: Mapping[str, str], variable: str) -> str | None:
    """Return a variable's value where it is not the image's own."""
    value = environ.get(variable)
    return value if value and value != CACHE_ENV.get(variable) else None


def _imported(module: str, name: str) -> str | None:
    """Return the folder a library has read at its import; None before."""
    return str(getattr(sys.modules[module], name)) if module in sys.modules else None


def _folders(*names: str | None) -> tuple[Path, ...]:
    own = (Path(CACHE_ENV[name]) for name in (ARROW, HUBS[1]))
    return _unique((*(Path(name).expanduser() for name in names if name), *(path for path in own if path.is_dir())))


def _unique(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(paths))
