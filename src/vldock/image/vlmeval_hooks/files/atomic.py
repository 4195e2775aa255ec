"""Atomic writes of VLMEvalKit's files, and how often predictions are saved."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vldock.image.vlmeval_hooks.files import table_images

SMALL_SET = 200
SECONDS = 5.0
MARK = ".vldock-"


def write(handler: Callable[..., Any], data: Any, path: str, **options: Any) -> None:
    """Write a file atomically, by `handler`.

    Calls `handler(data, temporary, **options)`, syncs the temporary file, and renames it over `path`.
    The temporary file keeps the suffix (Excel's writer reads it) but no part of the name: VLMEvalKit finds files by
    substring.
    """
    target = Path(path)
    aside = target.with_name(f"{MARK}{os.getpid()}-{time.monotonic_ns()}{target.suffix}")
    try:
        handler(data, str(aside), **options)
        with aside.open("rb") as stream:
            os.fsync(stream.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def save_image(image: Any, path: str) -> None:
    """Save a PIL image atomically.

    A reader in another container sees it whole or not at all.
    """
    target = Path(path)
    aside = target.with_name(f"{MARK}{uuid.uuid4().hex}{target.suffix}")
    try:
        table_images.guard_save(lambda: image.save(str(aside)), target.suffix)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def remove_stale(folder: Path, *, older_than: float = 3600.0) -> None:
    """Remove temporary files of killed processes older than `older_than` seconds."""
    for path in folder.glob(f"{MARK}*"):
        try:
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()
        except FileNotFoundError:
            continue  # its writer has just renamed it


class Cadence:
    """Rule for the time of a save.

    After each sample of a small set, else every five seconds.
    """

    def __init__(self, samples: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._small = samples <= SMALL_SET
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """Return whether to save now; if so, restart the clock."""
        now = self._clock()
        if self._small or now - self._last >= SECONDS:
            self._last = now
            return True
        return False


def round_trip(table: Any, suffix: str) -> Any:
    """Return `table` written and read back by VLMEvalKit in format `suffix`.

    Circular scoring needs the types a file gives.
    """
    import tempfile

    from vlmeval.smp import dump, load

    with tempfile.TemporaryDirectory(prefix="vlmeval-") as folder:
        path = os.path.join(folder, f"circular.{suffix}")  # noqa: PTH118  VLMEvalKit takes strings
        dump(table, path)
        return load(path)
