"""Queue of requests, round robin over clients.

First in, first out for each client.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Item = TypeVar("Item")


class FairQueue(Generic[Owner, Item]):
    """Queue between the receiving and the answering thread."""

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[Item]] = {}  # in the order in which they are served
        self._something = threading.Condition()

    def put(self, owner: Owner, item: Item) -> None:
        """Add a request behind the owner's others."""
        with self._something:
            self._waiting.setdefault(owner, deque()).append(item)
            self._something.notify()

    def put_back(self, owner: Owner, item: Item) -> None:
        """Put an unfinished request first in its owner's queue.

        The owner goes behind the other owners.
        """
        with self._something:
            queue = self._waiting.pop(owner, deque())
            queue.appendleft(item)
            self._waiting[owner] = queue
            self._something.notify()

    def take(self) -> tuple[Owner, Item]:
        """Wait for a request; return the next owner and request.

        The owner goes to the end.
        """
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
        """Remove the requests of a disconnected owner."""
        with self._something:
            self._waiting.pop(owner, None)
