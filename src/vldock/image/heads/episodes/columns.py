"""Columns of one row: pictures, instruction, numbers; each fault is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vldock.image.heads.episodes.rows import Faults, Picture, Row

SPELLINGS = {
    "episode": ("episode", "episode_id", "episode_index"),
    "instruction": ("instruction", "prompt", "task", "language_instruction"),
    "action": ("action", "actions"),
    "state": ("state", "proprioception", "proprio"),
}
SPLITS = {"": "", "train": "train", "held-out": "held-out", "held_out": "held-out", "test": "held-out"}
SPLITS |= {"val": "held-out", "validation": "held-out"}
PictureOf = Callable[[str, Any], Picture | str]  # camera, value -> picture, or the fault


def make_row(where: str, values: Mapping[str, Any], picture_of: PictureOf, faults: Faults) -> Row | None:
    """Return the row of named columns; None where a fault was added."""
    before = len(faults.found)
    named = {name: _named(where, name, values, faults) for name in SPELLINGS}
    if len(faults.found) > before:
        return None
    episode, instruction = named["episode"][1], named["instruction"][1]
    if episode is None or isinstance(episode, (bool, float, list, dict)) or str(episode) == "":
        faults.add(where, f"episode is {episode!r}, not a name or a number")
    if not isinstance(instruction, str) or not instruction.strip():
        faults.add(where, f"instruction is {instruction!r}, not a text")
    split = SPLITS.get(str(values.get("split") or ""))
    if split is None:
        faults.add(where, f"split is {values['split']!r}, not train or held-out")
    pictures = _pictures(where, values, picture_of, faults)
    vector = numbers(where, "action", named["action"][1], faults)
    state = numbers(where, *named["state"], faults) if named["state"][0] else ()
    if len(faults.found) > before:
        return None
    return Row(where, str(episode), pictures, str(instruction), vector, state, split or "")


def _named(where: str, name: str, values: Mapping[str, Any], faults: Faults) -> tuple[str, Any]:
    """Return a column's spelling here and its value; ("", None) where it is absent."""
    found = [spelling for spelling in SPELLINGS[name] if values.get(spelling) is not None]
    if len(found) > 1 and (name == "state" or found[0] != name):
        faults.add(where, f"has both {' and '.join(found)}")
    if not found and name != "state" and not any(spelling in values for spelling in SPELLINGS[name]):
        faults.add(where, f"has no {name}, only {', '.join(values)}")
    return (found[0], values[found[0]]) if found else ("", None)


def numbers(where: str, name: str, value: Any, faults: Faults) -> tuple[float, ...]:
    """Return a vector of finite numbers; () where a fault was added."""
    items = value if isinstance(value, (list, tuple)) else [value]
    if not items:
        faults.add(where, f"{name} is empty")
    for place, item in enumerate(items):
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            faults.add(where, f"{name} is {value!r}, not numbers" if item is value else f"{name}[{place}] is {item!r}")
            return ()
        if not math.isfinite(item):
            faults.add(where, f"{name}[{place}] is {item}")
            return ()
    return tuple(float(item) for item in items)


def file_of(folder: Path) -> PictureOf:
    """Return the function from a file's name to the picture below `folder`."""

    def picture_of(camera: str, value: Any) -> Picture | str:
        if not isinstance(value, str) or not value:
            return f"{camera} is {value!r}, not the name of a file"
        path = folder / value
        return path if path.is_file() else f"{camera} {value}: no such file"

    return picture_of


def _pictures(where: str, values: Mapping[str, Any], picture_of: PictureOf, faults: Faults) -> dict[str, Picture]:
    one, several = values.get("image"), values.get("images")
    if (one is None) == (several is None):
        faults.add(where, "has both image and images" if one is not None else "has neither image nor images")
        return {}
    if several is None:
        several = {"image": one}
    if isinstance(several, (list, tuple)):
        several = {f"image{place}": value for place, value in enumerate(several)}
    if not isinstance(several, Mapping) or not several:
        faults.add(where, f"images is {several!r}, not a list or {{camera: file}}")
        return {}
    found: dict[str, Picture] = {}
    for camera, value in several.items():
        picture = picture_of(str(camera), value)
        if isinstance(picture, str):
            faults.add(where, picture)
        else:
            found[str(camera)] = picture
    return found
