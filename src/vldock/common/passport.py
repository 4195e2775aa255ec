"""Passports: provenance of a score, and the differences between two.

An evaluation writes `passport.json` (a cell's folder) or `<model>_<benchmark>_passport.json` (run.py's); its fields are
in docs/trust/passport.schema.json. What differs from run to run without touching a score is under `run` and `outcome`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.inference_options import BATCHED

SCHEMA = 1
FILE = "passport.json"
SUFFIX = "_passport.json"
IMAGE_VARIABLE = "VLDOCK_IMAGE_ID"  # the host tells the container which image it is

# top field -> (its name in reports, a difference's possible effect on the score)
ASPECTS: dict[str, tuple[str, str]] = {
    "model": ("model", "two models: the scores are not of the same thing"),
    "benchmark": ("benchmark", "two benchmarks: the scores are not of the same thing"),
    "standin": ("stand-in", "one was made with stand-ins: its score says nothing about a model"),
    "image": ("image", "another build: anything may have moved; see code, and what the changelog says"),
    "code": ("code", "prompting, preprocessing, decoding or scoring may have changed: any score can move"),
    "weights": ("weights", "another model in all but name: any score can move"),
    "vision_tower": ("weights", "another vision tower: every image is seen differently"),
    "other_repositories": ("weights", "another tokenizer or part of the model: prompts and answers change"),
    "data": ("data", "other questions, answers or images, or another number of them: scores are not comparable"),
    "prompts": ("prompts", "the model was asked something else: short-answer benchmarks move by several points"),
    "generation": ("generation", "decoding differs: long answers change first, multiple choice last"),
    "judge": (
        "judge",
        "equal answers are read otherwise: free-form benchmarks move, by tens of points at worst",
    ),
    "hardware": ("hardware", "rounding differs: single answers flip, scores move by tenths of a point"),
}


@dataclass(frozen=True)
class Difference:
    """One differing field of two passports."""

    aspect: str
    field: str
    first: str
    second: str

    @property
    def word(self) -> str:
        """The kind of difference: image, code, weights, data, prompts, generation, judge, hardware."""
        return ASPECTS[self.aspect][0]

    @property
    def effect(self) -> str:
        """The effect such a difference can have on the score."""
        return ASPECTS[self.aspect][1]

    def __str__(self) -> str:
        return f"{self.word}: {self.field} was {self.first}, is {self.second}"


def load(path: Path) -> dict[str, Any]:
    """Read a passport; raises InputRefused for another file or an unknown schema."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        schema = value["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputRefused(f"{path} is no passport: {error}", hint="evaluate again; a passport is written at the end") \
            from error  # fmt: skip
    if schema != SCHEMA:
        raise InputRefused(f"{path} is a passport of schema {schema}", expected=f"schema {SCHEMA}")
    return dict(value)


def find(place: Path) -> list[Path]:
    """Return the passports in a file or below a folder, without set-aside ones.

    Raises InputRefused where there is none.
    """
    if place.is_file():
        return [place]
    found = [*place.rglob(f"*{SUFFIX}"), *place.rglob(FILE)] if place.is_dir() else []
    cells: dict[tuple[Path, str], Path] = {}
    for path in sorted(path for path in found if "set-aside" not in path.parts):
        passport = load(path)
        cells[path.parent, f"{passport['model']} x {passport['benchmark']}"] = path
    if not cells:
        raise InputRefused(f"no passport in {place}", expected=f"{FILE} or *{SUFFIX}", hint="vldock matrix writes them")
    return sorted(cells.values())


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Return every differing field of two passports.

    Time and place of the run are ignored.
    """
    found = []
    first, second = _same_image_named_twice(first, second)
    for aspect in ASPECTS:
        if aspect == "prompts":
            found += _prompts(first.get(aspect) or {}, second.get(aspect) or {})
        else:
            for name, before, now in _walk(first.get(aspect), second.get(aspect)):
                field = ".".join((aspect, *name))
                found.append(Difference(aspect, field, _short(before), _short(now)))
        if aspect == "generation":
            found += _features(first, second)
    return found


def _same_image_named_twice(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return both without image ids where one image was named in two ways.

    Docker named one, the build the other, and their builds are the same.
    """
    images = [one.get("image") or {} for one in (first, second)]
    build, sources = images[0].get("build_digest"), {image.get("id_source") for image in images}
    if not build or build != images[1].get("build_digest") or len(sources) == 1:
        return [first, second]
    bare = [{key: value for key, value in image.items() if key not in ("id", "id_source")} for image in images]
    return [{**one, "image": image} for one, image in zip((first, second), bare, strict=True)]


def _features(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Return the difference the feature cache makes; none in float32.

    In half precision an image that was alone in the tower (with the cache, or in VLMEvalKit's loop) is rounded
    otherwise than one in a batch.
    """
    batched = [one for one in (first, second) if (one.get("generation") or {}).get("engine") == BATCHED]
    used = [bool(one.get("features")) for one in (first, second)]
    if len(batched) < 2 or used[0] == used[1] or all(_dtype(one) == "float32" for one in batched):
        return []
    words = {True: "each picture alone (feature cache)", False: "pictures in batches"}
    return [Difference("generation", "features", words[used[0]], words[used[1]])]


def _dtype(passport: Mapping[str, Any]) -> Any:
    model = (passport.get("hardware") or {}).get("model")
    return model.get("dtype") if isinstance(model, Mapping) else None


def _walk(first: Any, second: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            yield from _walk(first.get(key), second.get(key), *names, key)
    elif first != second:
        yield names, first, second


def _prompts(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Compare prompts sample by sample and report how many differ."""
    one, two = first.get("samples") or {}, second.get("samples") or {}
    found = [
        Difference("prompts", f"prompts.{name}", _short(first.get(name)), _short(second.get(name)))
        for name in ("template", "token_limit")
        if first.get(name) != second.get(name)
    ]
    common = one.keys() & two.keys()
    moved = sorted(key for key in common if one[key] != two[key])
    if moved:
        example = moved[0]
        found.append(
            Difference(
                "prompts", f"{len(moved)} of {len(common)} prompts (first: sample {example})",
                _short(one[example]), _short(two[example]),
            )
        )  # fmt: skip
    if one.keys() != two.keys():
        found.append(Difference("prompts", "samples asked", str(len(one)), str(len(two))))
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 72 else f"{text[:69]}..."
