"""LLaVA's conversation JSON as values, and what is wrong with it.

[{"id": "1", "image": "a.jpg" or ["a.jpg", "b.jpg"] or absent,
  "conversations": [{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A rose."}, ...]}]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vldock.image.training.flaws import Flaw
from vldock.image.training.pictures import FilePicture, Picture

IMAGE = "<image>"
ROLES = ("human", "gpt")


@dataclass(frozen=True)
class Turn:
    """A question ("human") or an answer ("gpt")."""

    role: str
    text: str


@dataclass(frozen=True)
class Record:
    """One conversation about its pictures; `group` is what a split must keep in proportion (a flower's name)."""

    row: int
    id: str
    pictures: tuple[Picture, ...]
    turns: tuple[Turn, ...]
    group: str = ""

    @property
    def question(self) -> str:
        """The first question, without its <image>."""
        return self.turns[0].text.replace(IMAGE, "").strip()

    @property
    def answer(self) -> str:
        """The first answer."""
        return self.turns[1].text


def read(path: Path, images: Path) -> tuple[list[Record], list[Flaw]]:
    """Return the records of a JSON file and every flaw of its text; pictures are only named, not opened."""
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
        found = list(_flaws(row, number, images))
        name = str(row.get("id", "")) if isinstance(row, dict) else ""
        if name and seen.setdefault(name, number) != number:
            found.append(Flaw(number, name, "duplicate-id", f"{name} is row {seen[name]}'s id too"))
        flaws += found
        if not found:
            records.append(_record(row, number, images))
    return records, flaws


def _record(row: dict[str, Any], number: int, images: Path) -> Record:
    pictures = tuple(FilePicture(images / name) for name in _images(row))
    turns = tuple(Turn(str(turn["from"]), str(turn["value"])) for turn in row["conversations"])
    return Record(number, str(row["id"]), pictures, turns, str(row.get("label", "")))


def _images(row: dict[str, Any]) -> list[Any]:
    value = row.get("image")
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _flaws(row: Any, number: int, images: Path) -> Iterator[Flaw]:
    if not isinstance(row, dict):
        yield Flaw(number, "", "not-a-record", f"a {type(row).__name__}")
        return
    name = str(row.get("id", ""))
    for key in ("id", "conversations"):
        if key not in row:
            yield Flaw(number, name, "missing-key", f"no {key!r}")
    paths = _images(row)
    for path in paths:
        if not isinstance(path, str):
            yield Flaw(number, name, "wrong-type", f"image is {path!r}")
        elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            yield Flaw(number, name, "outside", path)
    if "conversations" in row:
        yield from _conversation_flaws(row["conversations"], len(paths), number, name)


def _conversation_flaws(turns: Any, images: int, number: int, name: str) -> Iterator[Flaw]:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        yield Flaw(number, name, "wrong-type", "conversations is no list of {from, value}")
        return
    for at, turn in enumerate(turns, 1):
        for key in ("from", "value"):
            if key not in turn:
                yield Flaw(number, name, "missing-key", f"no {key!r} in turn {at}")
            elif not isinstance(turn[key], str):
                yield Flaw(number, name, "wrong-type", f"{key!r} of turn {at} is {turn[key]!r}")
    if any(not isinstance(turn.get("from"), str) or not isinstance(turn.get("value"), str) for turn in turns):
        return
    roles = [turn["from"] for turn in turns]
    if strange := [role for role in roles if role not in ROLES]:
        yield Flaw(number, name, "unknown-role", strange[0])
    elif len(roles) < len(ROLES) or roles != [ROLES[at % 2] for at in range(len(roles))] or roles[-1] != "gpt":
        yield Flaw(number, name, "role-order", " ".join(roles) or "no turns")
    for at, turn in enumerate(turns, 1):
        if not turn["value"].replace(IMAGE, "").strip():
            yield Flaw(number, name, "empty-answer" if turn["from"] == "gpt" else "empty-question", f"turn {at}")
    asked = sum(turn["value"].count(IMAGE) for turn in turns if turn["from"] == "human")
    told = sum(turn["value"].count(IMAGE) for turn in turns if turn["from"] == "gpt")
    if strange:
        return
    if asked != images or told:
        yield Flaw(number, name, "image-count", f"{images} images, {asked} <image> in questions, {told} in answers")
