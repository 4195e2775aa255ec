"""Print the hashed lines of some packages of a lock.

Usage: `lock_part.py LOCK NAME...`.
pip needs these before the rest.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def lock_part(text: str, names: set[str]) -> str:
    """Return the blocks of `names` from a pip-compile lock.

    A block is a pin and its hashes.
    Raises KeyError naming the packages the lock does not hold.
    """
    blocks = re.findall(r"^[A-Za-z0-9._-]+==.*?(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    chosen = {block.split("==")[0]: block for block in blocks if block.split("==")[0] in names}
    if missing := names - chosen.keys():
        raise KeyError(f"not in the lock: {', '.join(sorted(missing))}")
    return "".join(chosen[name] for name in sorted(chosen))


if __name__ == "__main__":
    print(lock_part(Path(sys.argv[1]).read_text(encoding="utf-8"), set(sys.argv[2:])))
