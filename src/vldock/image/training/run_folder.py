"""Run folder: the configuration it belongs to, its checkpoints, its lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError
from vldock.common.filesystem import permission_hints
from vldock.common.filesystem.atomic import write_json, write_text
from vldock.common.filesystem.permissions import whoami
from vldock.image.training import config as settings
from vldock.image.training.config import Config
from vldock.image.training.data.records import Record
from vldock.image.training.model.export import CONFIG

RUN, LOCK = "run.json", ".lock"
BASE = "base_sha256"
FREE = (
    "model.feature_cache",
    "train.workers",
    "train.pin_memory",
)  # settings that change no weight, so a resumed run may change them


def digest_of(records: Sequence[Record]) -> str:
    """Return 16 hexadecimal digits over ids, turns and pictures' names, in order."""
    digest = hashlib.sha256()
    for record in records:
        turns = [(turn.role, turn.text) for turn in record.turns]
        digest.update(json.dumps([record.id, turns, [p.name for p in record.pictures]]).encode())
    return digest.hexdigest()[:16]


def claim(folder: Path, config: Config, facts: dict[str, Any], notes: dict[str, Any] | None = None) -> Path | None:
    """Assign the folder to this configuration; return the checkpoint to resume from.

    None is a new run.

    `notes` is written beside `facts`, and no reason not to resume.

    Raises UsageError where it holds a run of another configuration, data or number of processes; see require_base.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads((folder / RUN).read_text(encoding="utf-8")) if (folder / RUN).is_file() else None
        if before is not None:
            _require_same(folder, config, facts, before)
        write_text(folder / CONFIG, config.to_yaml())
        write_json(folder / RUN, {**(before or {}), **facts, **(notes or {})})
    except OSError as error:
        raise permission_hints.write_error(error, folder, whoami()) from error
    return newest_checkpoint(folder)


def require_base(folder: Path, digest: str | None, *, resumed: bool) -> None:
    """Record the digest of the base that was loaded.

    Not before: what is absent is downloaded as it is loaded, and a run that was killed then resumes.
    Raises UsageError for a resumed run that began with another.
    """
    before = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if resumed and before.get(BASE) not in (None, digest):
        raise _another(folder, [f"{BASE} was {before[BASE]}, is {digest}"])
    write_json(folder / RUN, {**before, BASE: digest})


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint; None where there is none.

    The Trainer renames a folder to this name after all of it is written.
    """
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _require_same(folder: Path, config: Config, facts: dict[str, Any], before: dict[str, Any]) -> None:
    old = settings.load(folder / CONFIG)
    changed = _differences(old.as_dict(), config.as_dict())
    changed += [f"{name} was {before.get(name)}, is {facts[name]}" for name in facts if before.get(name) != facts[name]]
    if changed:
        raise _another(folder, changed)


def _another(folder: Path, changed: Sequence[str]) -> UsageError:
    return UsageError(
        f"{folder} holds another run: {'; '.join(changed[:6])}",
        expected="the same configuration, data, base and number of processes, to resume from its checkpoints",
        hint="out=ANOTHER for a new run; to go on with this one: --config config.yaml of that folder",
    )


def _differences(old: dict[str, Any], new: dict[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for name in new:
        before, now = old.get(name), new[name]
        if isinstance(now, dict) and isinstance(before, dict):
            found += _differences(before, now, f"{above}{name}.")
        elif before != now and f"{above}{name}" not in FREE:
            found.append(f"{above}{name} was {before}, is {now}")
    return found


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder for this process; a kill releases it.

    Raises UsageError where another process trains in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process trains in {folder}", hint="wait for it, or out=ANOTHER") from error
        yield
