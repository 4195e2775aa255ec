"""Cache of parsed workbooks.

VLMEvalKit reads a benchmark's predictions eight times while it scores and reports them.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

KEPT = 4  # tables: the predictions, and what an evaluation makes of them

_kept: OrderedDict[tuple[str, int, int, int, int], Any] = OrderedDict()


def read(reader: Callable[[str], Any], path: str) -> Any:
    """Return `reader(path)`, a DataFrame, cached.

    The cache is valid for as long as the file does not change.
    """
    seen = os.stat(path)  # noqa: PTH116  VLMEvalKit takes strings
    key = (os.path.abspath(path), seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)  # noqa: PTH100
    if key not in _kept:
        _kept[key] = reader(path)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key].copy()
