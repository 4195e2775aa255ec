"""Writes planned changes: all files are prepared and synced before the first rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from patchlib import Change, Plan


def execute(plan_: Plan) -> None:
    """Write the planned files; prepare and sync all before the first rename."""
    prepared: list[tuple[Path, Path]] = []
    try:
        for change in plan_.changes:
            prepared.append((_prepare(change), change.path))
    except OSError:
        for aside, _ in prepared:
            aside.unlink(missing_ok=True)
        raise
    for aside, target in prepared:
        aside.replace(target)
        drop_bytecode(target)


def _prepare(change: Change) -> Path:
    change.path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{change.path.name}.", dir=change.path.parent)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
        stream.write(change.text)
        stream.flush()
        os.fsync(stream.fileno())
    aside = Path(name)
    if change.path.exists():
        shutil.copymode(change.path, aside)
    else:
        aside.chmod(0o644)
    return aside


def drop_bytecode(source: Path) -> None:
    """Remove the compiled files of one module.

    Then no interpreter runs the old text.
    """
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)
