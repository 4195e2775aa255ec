"""Channels: moving tags, each with more required groups than the one before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vldock.host.receipts.statement import BENCH_GROUP, CPU_GROUPS, GPU_GROUP

SERIES = "4.37"


@dataclass(frozen=True)
class Channel:
    """Moving tag, and the test groups it requires.

    An image must have passed these groups to get the tag.
    """

    name: str
    tag: str
    groups: tuple[str, ...]


CHANNELS = (
    Channel("candidate", f"{SERIES}-candidate", CPU_GROUPS),
    Channel("stable", f"{SERIES}-stable", (*CPU_GROUPS, GPU_GROUP)),
    Channel("release", SERIES, (*CPU_GROUPS, GPU_GROUP, BENCH_GROUP)),
)
NAMES = tuple(channel.name for channel in CHANNELS)


def find(name: str) -> Channel:
    """Return the channel of this name; StopIteration for any other."""
    return next(channel for channel in CHANNELS if channel.name == name)


def groups_for(tags: Iterable[str], *, require_gpu: bool) -> tuple[str, ...]:
    """Return the groups an image must have passed to get these tags.

    A channel's tag requires its own.
    """
    groups = dict.fromkeys(CPU_GROUPS)
    requested = set(tags)
    for channel in CHANNELS:
        if channel.tag in requested:
            groups |= dict.fromkeys(channel.groups)
    if require_gpu:
        groups[GPU_GROUP] = None
    return tuple(groups)


def immutable_tag(lock: str) -> str:
    """Return the tag that never moves.

    It names an image by its lock (sha256 in hexadecimal).
    """
    return f"{SERIES}-{lock[:12]}"


def immutable_tag_of_two(lock: str, config: str) -> str:
    """Return the fixed tag of a lock's second image.

    `config` is 'sha256:...'. The first image keeps the short tag.
    """
    return f"{immutable_tag(lock)}-{config.removeprefix('sha256:')[:12]}"
