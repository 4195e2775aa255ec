"""Data sets by name from the local cache, without a network and without touching the user's offline setting.

    from vldock.image.offline import load_dataset
    flowers = load_dataset("nelorth/oxford-flowers", split="train")     # what datasets.load_dataset returns
    loaded = load("nelorth/oxford-flowers")                             # the same, with the steps that led there

mode.py      which offline setting is on, and who set it
cached.py    what the cache holds of a name: prepared Arrow files, snapshots of the repository
readers.py   the ways to read Arrow files, each through the datasets library; snapshots.py: those of a repository
load.py      the steps, in order
errors.py    one exception per kind of failure, each with its cure
"""

from typing import Any

from vldock.image.offline.load import Loaded, Step, load


def load_dataset(name: str, config: str | None = None, **options: Any) -> Any:
    """Return what datasets.load_dataset returns; arguments and errors of `load`."""
    return load(name, config, **options).dataset


__all__ = ["Loaded", "Step", "load", "load_dataset"]
