"""Ranks of a build: torchrun's, or this process alone.

They exchange values through torchrun's store; no tensor is sent.

A process group is not used: of pairs of torch 2.1.2 gloo groups, about one in four hung while both ranks closed theirs.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

PATIENCE = timedelta(days=7)  # a rank with slow pictures is waited for; one that died ends the others (torchrun)
GOODBYE = 60.0  # seconds the rank that hosts the store waits for the others to leave
T = TypeVar("T")


@dataclass
class _Group:
    """Rank of this process, number of ranks, number of exchanges."""

    store: Any
    rank: int
    world: int
    met: int = 0


_group = _Group(None, 0, 1)


@contextmanager
def join() -> Iterator[int]:
    """Join torchrun's ranks, if there are any; yield this process's rank."""
    global _group
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        yield 0
        return
    from torch import distributed

    store, rank, world = next(distributed.rendezvous("env://"))
    store.set_timeout(PATIENCE)
    _group = _Group(
        distributed.PrefixStore(f"features-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store), rank, world
    )
    try:
        yield rank
    finally:
        _leave(_group)
        _group = _Group(None, 0, 1)


def rank_and_world() -> tuple[int, int]:
    """Return (rank, number of ranks)."""
    return _group.rank, _group.world


def device() -> str | None:
    """Return this rank's GPU under torchrun.

    None leaves the choice to the model.
    """
    import torch

    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{int(local) % torch.cuda.device_count()}" if local and torch.cuda.is_available() else None


def wait() -> None:
    """Wait for every rank."""
    gather(None)


def gather(value: T) -> list[T]:
    """Return every rank's value, in the order of ranks, to every rank."""
    if _group.world == 1:
        return [value]
    _group.met += 1
    _group.store.set(f"{_group.met}/{_group.rank}", pickle.dumps(value))
    return [pickle.loads(_group.store.get(f"{_group.met}/{rank}")) for rank in range(_group.world)]


def _leave(group: _Group) -> None:
    """Announce that this rank is done; the first one waits for all.

    It may host the store.
    """
    gone, until = group.store.add("gone", 1), time.monotonic() + GOODBYE
    while group.rank == 0 and gone < group.world and time.monotonic() < until:
        time.sleep(0.01)
        gone = group.store.add("gone", 0)
