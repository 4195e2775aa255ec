"""Vision features, computed once: a cache on the disk for every trainer and evaluation.

space.py, shards.py   what a key is made of; the files
leases.py, cache.py   locks that die with their process; get and put
evict.py, fsck.py     the size limit; the check
models.py, rows.py, reading.py, build.py, ranks.py     the builder, on one process or under torchrun
consume.py            a data set of features, a frozen tower's features
exact.py              what an evaluation's features depend on beside (engines/kept.py reads and writes them)
show.py, cli.py       `python -m vldock.image features`
"""

from vldock.image.features.cache import FeatureCache, default_root
from vldock.image.features.space import Entry, Space

__all__ = ["Entry", "FeatureCache", "Space", "default_root"]
