"""Records of LLaVA's conversation JSON, and their flaws.

[{"id": "1", "image": "a.jpg" or ["a.jpg", "b.jpg"] or absent,
  "conversations": [{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A rose."}, ...]}]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vldock.image.training.data import conversations
from vldock.image.training.data.conversations import IMAGE, Conversation, ConversationTurn
from vldock.image.training.data.images import FilePicture, Picture
from vldock.image.training.data.problems import Flaw

MISSING = "missing-file"


@dataclass(frozen=True)
class Record:
    """Conversation about its pictures.

    A split preserves the proportions of `group`.
    For flowers `group` is the flower's name.

    Without pictures, <image> in a turn is text.
    """

    row: int
    id: str
    pictures: tuple[Picture, ...]
    turns: tuple[ConversationTurn, ...]
    group: str = ""

    @property
    def question(self) -> str:
        """The first question, without its <image>."""
        text = self.turns[0].text
        return (text.replace(IMAGE, "") if self.pictures else text).strip()

    @property
    def answer(self) -> str:
        """The first answer."""
        return self.turns[1].text


def read(path: Path, images: Path, *, accept: Collection[str] = ()) -> tuple[list[Record], list[Flaw]]:
    """Return a JSON file's records and every flaw of its text.

    Pictures are only named, not opened.

    A record whose flaws `accept` names is returned as LLaVA trains on it, its flaws with the others'; one whose picture
    is not there is left out.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], [Flaw(0, path.name, "missing-file", str(path))]
    except UnicodeDecodeError as error:
        return [], [Flaw(0, path.name, "not-json", f"byte {error.start} is not UTF-8")]
    except json.JSONDecodeError as error:
        return [], [Flaw(0, path.name, "not-json", f"line {error.lineno} column {error.colno}: {error.msg}")]
    if not isinstance(rows, list):
        return [], [Flaw(0, path.name, "not-a-list", f"the file holds one {type(rows).__name__}")]
    records, flaws = [], []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        found = list(_flaws(row, number))
        conversation = Conversation(())
        if isinstance(row, dict) and "conversations" in row:
            conversation = conversations.read(row["conversations"], len(_images(row)))
        name = str(row.get("id", "")) if isinstance(row, dict) else ""
        found += [Flaw(number, name, odd.kind, odd.detail, acceptable=odd.acceptable) for odd in conversation.oddities]
        if name and seen.setdefault(name, number) != number:
            found.append(Flaw(number, name, "duplicate-id", f"{name} is row {seen[name]}'s id too", acceptable=True))
            name = f"{name} (row {number})"
        if all(flaw.in_kinds(accept) for flaw in found):
            record = _record(row, number, name, conversation, images)
            if absent := _absent(record, accept):
                found.append(absent)
            else:
                records.append(record)
        flaws += found
    return records, flaws


def _record(row: dict[str, Any], number: int, name: str, conversation: Conversation, images: Path) -> Record:
    pictures = tuple(FilePicture(images / path) for path in _images(row)) if conversation.asks else ()
    return Record(number, name, pictures, conversation.turns, str(row.get("label", "")))


def _absent(record: Record, accept: Collection[str]) -> Flaw | None:
    """Return the flaw of a missing picture, where that flaw is accepted.

    Where it is not, opening the picture reports it.
    """
    if MISSING not in accept:
        return None
    names = [picture.name for picture in record.pictures if not _is_there(Path(picture.name))]
    return Flaw(record.row, record.id, MISSING, names[0], acceptable=True) if names else None


def _is_there(path: Path) -> bool:
    """Return whether a file exists.

    A file that cannot be examined counts as existing.
    Opening it reports why.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _images(row: dict[str, Any]) -> list[Any]:
    value = row.get("image")
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _flaws(row: Any, number: int) -> Iterator[Flaw]:
    if not isinstance(row, dict):
        yield Flaw(number, "", "not-a-record", f"a {type(row).__name__}")
        return
    name = str(row.get("id", ""))
    for key in ("id", "conversations"):
        if key not in row:
            yield Flaw(number, name, "missing-key", f"no {key!r}")
    for path in _images(row):
        if not isinstance(path, str):
            yield Flaw(number, name, "wrong-type", f"image is {path!r}")
        elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            yield Flaw(number, name, "outside", path)
