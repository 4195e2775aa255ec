"""LRU store of tensors, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByteStore(Generic[Value]):
    """{key: value} of at most `capacity` bytes in total.

    A larger value is not stored.
    """

    def __init__(self, capacity: int) -> None:
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._capacity = capacity
        self.bytes = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return a value and mark it as just used.

        None where it is absent.
        """
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Store a value of `size` bytes; evict the least recently used."""
        self.drop(key)
        if size > self._capacity:
            return
        self._values[key] = (value, size)
        self.bytes += size
        self._shrink()

    def drop(self, key: Hashable) -> None:
        """Remove a value, if present."""
        _, size = self._values.pop(key, (None, 0))
        self.bytes -= size

    def clear(self) -> None:
        """Remove everything."""
        self._values.clear()
        self.bytes = 0

    def resize(self, capacity: int) -> None:
        """Change the capacity (bytes), evicting values that no longer fit."""
        self._capacity = capacity
        self._shrink()

    def _shrink(self) -> None:
        while self.bytes > self._capacity:
            self.drop(next(iter(self._values)))
