"""Parallel work on daemon threads; Ctrl-C ends it at once.

The main thread only waits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vldock.common.errors import VldockError
from vldock.host.errors import Stopped

LETTING_GO_SECONDS = 2.0
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkResult(Generic[Item, Result]):
    """The end of one item: a result, or an error."""

    item: Item
    result: Result | None = None
    error: VldockError | None = None


def run_all(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    jobs: int,
    stop: threading.Event,
    on_result: Callable[[WorkResult[Item, Result]], None] = lambda done: None,
) -> list[WorkResult[Item, Result]]:
    """Call `work` for each item, `jobs` at a time.

    Returns the ends in order. A VldockError is that item's end and the others go on; any other exception stops all and
    is raised here. Ctrl-C sets `stop`, gives the threads a moment to let go, and is raised.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[int, WorkResult[Item, Result] | BaseException]] = queue.SimpleQueue()
    for number in range(len(items)):
        waiting.put(number)
    arguments = (items, work, waiting, ended, stop)
    threads = [threading.Thread(target=_work, args=arguments, daemon=True) for _ in range(min(jobs, len(items)))]
    for thread in threads:
        thread.start()
    found: dict[int, WorkResult[Item, Result]] = {}
    try:
        while len(found) < len(items):
            number, end = ended.get()
            if isinstance(end, BaseException):
                raise end
            found[number] = end
            on_result(end)
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join(LETTING_GO_SECONDS / len(threads))
        raise
    return [found[number] for number in range(len(items))]


def _work(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    waiting: queue.SimpleQueue[int],
    ended: queue.SimpleQueue[tuple[int, WorkResult[Item, Result] | BaseException]],
    stop: threading.Event,
) -> None:
    """Take one number after the other until none remains.

    It also ends when all is stopped.
    """
    while not stop.is_set():
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            ended.put((number, WorkResult(items[number], result=work(items[number]))))
        except VldockError as error:
            ended.put((number, WorkResult(items[number], error=error)))
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001  raised again in the main thread
            ended.put((number, error))
