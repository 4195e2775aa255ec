"""Data sets by name from the local cache, without a network.

The offline setting is not changed.
    from vldock.image.offline import load_dataset
    flowers = load_dataset("nelorth/oxford-flowers", split="train")     # as from datasets.load_dataset
    loaded = load("nelorth/oxford-flowers")                             # the same, with the steps of the search
    stream = load_dataset("nelorth/oxford-flowers", streaming=True)     # of the local copy, offline too

load          the steps, in order
places        the folders of this process's environment
cached        cached state of a name: prepared Arrow files, snapshots of the repository
readers       Arrow files and scripts, through the datasets library
snapshots     a repository's snapshot, through the datasets library
streams       the same as streams: streaming=True
copy_size     the second copy that Arrow files of a snapshot are, measured
mode          the offline setting and its origin
errors        one exception per kind of failure, each with a hint
show          the command line of test_hf_cache.py
choice        the data set it takes without a name
train_loader  the batches it reads
tiny_cache    the data set of its --self-test
"""

from typing import Any

from vldock.image.offline.load import Loaded, Step, load


def load_dataset(name: str, config: str | None = None, **options: Any) -> Any:
    """Return a data set as datasets.load_dataset does, from the cache first.

    Arguments and errors are those of `load`.
    """
    return load(name, config, **options).dataset


__all__ = ["Loaded", "Step", "load", "load_dataset"]
