"""Preallocated, right-aligned KV cache: every row's newest token is in one column.

transformers 4.37.2 asks a Cache for its length, passes new keys and values layer by layer, and attends to the tensors
`update` returns (cache_utils.py, modeling_llama.py). Its own DynamicCache copies everything at each token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache

ROOM = 32  # columns preallocated for new tokens; more are added when they are used up


@dataclass(frozen=True)
class KvSlice:
    """One row of a KV cache.

    `spans` are the ranges of columns with its tokens.
    """

    cache: AlignedCache
    row: int
    spans: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Return its number of tokens."""
        return sum(end - begin for begin, end in self.spans)

    def copy(self) -> KvSlice:
        """Return a copy that does not hold the other rows' memory."""
        sample = self.cache.keys[0]
        shape = Shape(len(self.cache.keys), sample.shape[1], sample.shape[3], sample)
        return AlignedCache.gather([self], like=shape, room=0).row_slice(0, self.length)


@dataclass(frozen=True)
class Shape:
    """Dimensions of one model's KV caches.

    `sample` is any tensor of their dtype and device.
    """

    layers: int
    heads: int
    width: int
    sample: torch.Tensor


class AlignedCache(Cache):  # type: ignore[misc]  # of a library without types
    """Keys and values of each layer, tensors [rows, heads, columns, width].

    `used` columns are filled.
    A row shorter than `used` begins with columns of zeros, which the mask hides.
    """

    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor], *, used: int) -> None:
        self.keys, self.values, self.used = keys, values, used

    @classmethod
    def gather(cls, slices: Sequence[KvSlice | None], *, like: Shape, room: int = ROOM) -> AlignedCache:
        """Return a new cache of these rows.

        It has `room` free columns; None in `slices` is an empty row.
        """
        used = max((item.length for item in slices if item), default=0)
        keys, values = list[torch.Tensor](), list[torch.Tensor]()
        for layer in range(like.layers):
            for made, kind in ((keys, "keys"), (values, "values")):
                tensor = like.sample.new_zeros((len(slices), like.heads, used + room, like.width))
                for row, item in enumerate(slices):
                    if item:
                        _copy(tensor[row], item, getattr(item.cache, kind)[layer], end=used)
                made.append(tensor)
        return cls(keys, values, used=used)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.keys[0].shape[0])

    @property
    def bytes(self) -> int:
        """Return its memory in bytes."""
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))

    def row_slice(self, row: int, length: int) -> KvSlice:
        """Return a row with its tokens in the last `length` columns."""
        return KvSlice(self, row, ((self.used - length, self.used),))

    def keep(self, rows: Sequence[int], *, width: int) -> None:
        """Keep only these rows, and of their columns the last `width`."""
        index = torch.tensor(list(rows), device=self.keys[0].device)
        begin = self.used - width
        for tensors in (self.keys, self.values):
            for layer, tensor in enumerate(tensors):
                tensors[layer] = tensor[:, :, begin:].index_select(0, index)
        self.used = width

    def reserve(self) -> None:
        """Allocate columns for one more token, if none is free."""
        free = self.keys[0].shape[2] - self.used
        if free:
            return
        for tensors in (self.keys, self.values):
            for layer, tensor in enumerate(tensors):
                more = tensor.new_zeros((*tensor.shape[:2], max(ROOM, self.used // 4), tensor.shape[3]))
                tensors[layer] = torch.cat([tensor, more], dim=2)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, cache_kwargs: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values [rows, heads, new, width] of one layer.

        Return all its columns in use.
        """
        end = self.used + key_states.shape[2]
        self.keys[layer_idx][:, :, self.used : end] = key_states
        self.values[layer_idx][:, :, self.used : end] = value_states
        if layer_idx == len(self.keys) - 1:
            self.used = end
        return self.keys[layer_idx][:, :, :end], self.values[layer_idx][:, :, :end]

    def get_seq_length(self, layer_idx: int | None = 0) -> int:
        """Return the number of columns in use.

        It grows when the last layer has written.
        """
        return self.used

    def get_max_length(self) -> int | None:
        """Return None: there is no limit."""
        return None


def _copy(target: torch.Tensor, item: KvSlice, source: torch.Tensor, *, end: int) -> None:
    for begin, stop in reversed(item.spans):
        target[:, end - (stop - begin) : end] = source[item.row, :, begin:stop]
        end -= stop - begin
