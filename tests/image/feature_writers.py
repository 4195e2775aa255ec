"""Writers and readers of one feature cache, killed at random.

`python feature_writers.py --writers 4 --kills 20`

Every tensor follows from its key, so that a reader knows a wrong hit when it sees one. One round: the writers and a
reader run, some are killed with SIGKILL, the rest too at the end; then fsck must find nothing damaged.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import torch

from vldock.image.features import evict, fsck
from vldock.image.features.cache import FeatureCache
from vldock.image.features.space import Entry, Space

SPACE = Space("tower", "preprocessing", "layer", "float32")
PICTURES = 400
WRONG = 3  # exit code of a worker that read other features than were written
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Tally:
    """Counts over all rounds."""

    kills: int
    shards: int
    rows: int
    most_bytes: int
    unfinished_left: int
    damaged: int
    wrong_hits: int
    hits: int


def expected(number: int) -> torch.Tensor:
    """Return the expected features of picture `number`: (64, 32) float16."""
    return torch.full((64, 32), float(number), dtype=torch.float16) + torch.arange(32, dtype=torch.float16) / 64


def work(root: Path, *, limit: int, seed: int, write: bool, hits: object, puts: object) -> None:
    """Read, or read and write, until killed; exit with WRONG at a wrong hit."""
    chance = random.Random(seed)
    cache = FeatureCache(root, SPACE, limit=limit, rows=chance.randint(1, 8), keep_open=4)
    while True:
        number = chance.randrange(PICTURES)
        found = cache.get(SPACE.key(str(number)))
        if found is not None and not torch.equal(found, expected(number)):
            os._exit(WRONG)
        hits.value += found is not None  # type: ignore[attr-defined]
        if found is None and write:
            cache.put(Entry("numbers", number, str(number)), expected(number))
            puts.value += 1  # type: ignore[attr-defined]
        elif found is None:
            cache.refresh()


def campaign(root: Path, *, writers: int, kills: int, limit: int, seed: int, rows: int) -> Tally:
    """Kill `kills` writers with SIGKILL, one in each round, and count what remains.

    A round is `rows` put or fewer.
    """
    chance = random.Random(seed)
    hits = FORK.Value("L", 0, lock=False)
    wrong = damaged = most = 0
    for number in range(kills):
        evict.sweep(root)
        counters = {"hits": hits, "puts": (puts := FORK.Value("L", 0, lock=False))}
        workers = [_start(root, limit, 1000 * number + at, at < writers, counters) for at in range(writers + 1)]
        _wait_for(workers, puts, chance.randint(rows // 3, rows))
        _kill(workers[chance.randrange(writers)])
        _wait_for(workers, puts, puts.value + chance.randint(0, rows // 3))
        wrong += sum(worker.exitcode == WRONG for worker in workers)
        for worker in workers:
            _kill(worker)
        report = fsck.check(root)
        damaged += sum(one.kind == "damaged" for one in report.findings)
        most = max(most, report.size)
        if any(worker.exitcode not in (-signal.SIGKILL, WRONG) for worker in workers):
            raise RuntimeError(f"a worker ended by itself: {[worker.exitcode for worker in workers]}")
    left = len([one for one in report.findings if one.kind == "unfinished"])
    return Tally(kills, report.shards, report.rows, most, left, damaged, wrong, hits.value)


def _wait_for(workers: list[ForkProcess], puts: Any, rows: int) -> None:
    """Wait until the writers have put so many rows, or all have ended."""
    while puts.value < rows and any(worker.is_alive() for worker in workers):
        time.sleep(0.005)


def _start(root: Path, limit: int, seed: int, write: bool, counters: dict[str, Any]) -> ForkProcess:
    options = {"limit": limit, "seed": seed, "write": write, **counters}
    process = FORK.Process(target=work, args=(root,), kwargs=options, daemon=True)
    process.start()
    return process


def _kill(process: ForkProcess) -> None:
    process.kill()
    process.join()


def main() -> int:
    """Run the campaign in a temporary folder and print its counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2000, help="put in one round, at most")
    parser.add_argument("--limit", type=int, default=600_000, help="bytes: below what the writers want to keep")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), writers=args.writers, kills=args.kills, limit=args.limit, seed=0, rows=args.rows)
    print(json.dumps(tally.__dict__))
    return 0 if not tally.damaged and not tally.wrong_hits and tally.most_bytes <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
