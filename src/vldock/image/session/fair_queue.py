"""Whose turn it is: waiting clients one after the other, each client's requests in their order."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Item = TypeVar("Item")


class FairQueue(Generic[Owner, Item]):
    """A queue between the thread that hears clients and the one that answers them."""

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[Item]] = {}  # in the order of turns
        self._something = threading.Condition()

    def put(self, owner: Owner, item: Item) -> None:
        """Add a request behind the owner's others."""
        with self._something:
            self._waiting.setdefault(owner, deque()).append(item)
            self._something.notify()

    def again(self, owner: Owner, item: Item) -> None:
        """Put back what is not finished, before the owner's others; it is the others' turn now."""
        with self._something:
            queue = self._waiting.pop(owner, deque())
            queue.appendleft(item)
            self._waiting[owner] = queue
            self._something.notify()

    def take(self) -> tuple[Owner, Item]:
        """Wait for a request and return the one whose turn it is; its owner goes to the end."""
        with self._something:
            while not self._waiting:
                self._something.wait()
            owner = next(iter(self._waiting))
            queue = self._waiting.pop(owner)
            item = queue.popleft()
            if queue:
                self._waiting[owner] = queue
            return owner, item

    def drop(self, owner: Owner) -> None:
        """Forget what a client that is gone had asked."""
        with self._something:
            self._waiting.pop(owner, None)
