"""Files of one cell: finding them and moving them away.

They are never deleted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "set-aside"


def files_of(folder: Path, model: str, benchmark: str, *, benchmarks: Collection[str] = ()) -> list[Path]:
    """Return the files of `model` x `benchmark` in `folder`.

    `benchmarks` are all names VLMEvalKit knows, so that MMBench_DEV_EN does not claim the files of MMBench_DEV_EN_V11.
    """
    if not folder.is_dir():
        return []
    longer = [name for name in benchmarks if name.startswith(benchmark) and name != benchmark]
    mine = re.compile(rf"{re.escape(model)}_{re.escape(benchmark)}[._].*|\d+_{re.escape(benchmark)}\.pkl")
    others = [re.compile(rf"{re.escape(model)}_{re.escape(name)}[._].*") for name in longer]
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and mine.fullmatch(path.name) and not any(other.fullmatch(path.name) for other in others)
    )


def move(files: Iterable[Path], folder: Path, *, now: datetime | None = None) -> Path:
    """Move `files` to <folder>/set-aside/<UTC time>/ and return that folder."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    target = folder / FOLDER / stamp
    count = 0
    while target.exists():
        count += 1
        target = folder / FOLDER / f"{stamp}-{count}"
    target.mkdir(parents=True)
    for path in files:
        path.rename(target / path.name)
    return target
