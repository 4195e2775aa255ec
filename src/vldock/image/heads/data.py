"""Data of a training: episodes, split, and their features as batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch.utils.data import Dataset

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features.cache import default_root
from vldock.image.features.picture_rows import ImageRow
from vldock.image.heads import scenes
from vldock.image.heads.config import PROMPT, Config
from vldock.image.heads.episodes.read import read
from vldock.image.heads.episodes.rows import Episodes, Row
from vldock.image.heads.episodes.split import split
from vldock.image.heads.network import Batch
from vldock.image.heads.text import UNKNOWN, Vocabulary, pad

Item = tuple[torch.Tensor, list[int], tuple[float, ...], tuple[float, ...]]
Pair = tuple[int, int]  # data set and row


@dataclass(frozen=True)
class Data:
    """Data sets, and the (data set, row) pairs to train on and held out."""

    sets: tuple[Episodes, ...]
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    drawn: bool = False

    def row(self, pair: Pair) -> Row:
        """Return a row."""
        return self.sets[pair[0]].rows[pair[1]]

    def images(self, pair: Pair, *, prompted: bool) -> list[ImageRow]:
        """Return a row's pictures in the order of the cameras, with the instruction as prompt."""
        one, row = self.sets[pair[0]], self.row(pair)
        prompt = row.instruction if prompted else None
        return [
            ImageRow(one.name, one.vlm_idx(pair[1], number), cast(Path, row.pictures[camera]), prompt)
            for number, camera in enumerate(one.cameras)
        ]

    def every_image(self, *, prompted: bool) -> list[ImageRow]:
        """Return the pictures of all rows, those to train on first."""
        return [image for pair in (*self.train, *self.held_out) for image in self.images(pair, prompted=prompted)]

    def summary(self) -> str:
        """Return one line: names, forms, rows, episodes, cameras, sizes."""
        names = ", ".join(f"{one.name} ({one.form})" for one in self.sets)
        counts = [len({(pair[0], self.row(pair).episode) for pair in part}) for part in (self.train, self.held_out)]
        first = self.sets[0].rows[0]
        return (
            f"{names}: {len(self.train)} rows of {counts[0]} episodes to train on, {len(self.held_out)} of {counts[1]} "
            f"held out; cameras {', '.join(self.sets[0].cameras)}; {len(first.action)} action numbers, "
            f"{len(first.state)} state numbers"
        )


def cache_root(config: Config) -> Path:
    """Return the features' folder: the configuration's, else the default."""
    return Path(config.cache.folder) if config.cache.folder else default_root()


def open_data(config: Config) -> Data:
    """Return the episodes of a configuration; draws those of the demonstration.

    Raises UsageError where `out` or the cache is inside the user's folder, InputRefused with all faults.
    """
    data = config.data
    paths = [Path(path) for path in data.path]
    for own in (Path(config.out), cache_root(config)):
        inside = next((path for path in paths if own.resolve().is_relative_to(path.resolve())), None)
        if inside:
            raise UsageError(f"{own} is inside data.path {inside}", expected="another folder: nothing is written there")
    if not paths:
        drawn = scenes.write(
            Path(data.folder), episodes=data.episodes, steps=data.steps, held_out=data.held_out, seed=data.seed
        )
    sets = (
        tuple(read(path, form=data.form, name=data.name) for path in paths) if paths else (read(drawn, name="scenes"),)
    )
    _compare(sets)
    train, held_out = split(sets, held_out=data.held_out, seed=data.seed)
    return Data(sets, tuple(train), tuple(held_out), drawn=not paths)


def _compare(sets: Sequence[Episodes]) -> None:
    """Raise InputRefused where data sets differ in name, cameras or sizes."""
    shapes = [(one.cameras, len(one.rows[0].action), len(one.rows[0].state)) for one in sets]
    other = next((number for number, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        said = [f"cameras {', '.join(cameras)}, {action} action, {state} state" for cameras, action, state in shapes]
        raise InputRefused(f"{sets[other].name} has {said[other]}", expected=f"as {sets[0].name}: {said[0]}")
    if len({one.name for one in sets}) < len(sets):
        raise InputRefused(f"two folders are named {sets[-1].name}", expected="another name each: the cache has it")


class Demonstrations(Dataset[Item]):  # type: ignore[misc]
    """Dataset of rows with their features.

    `features` returns those of one picture, (tokens, width).
    """

    def __init__(
        self, data: Data, pairs: Sequence[Pair], features: Callable[[ImageRow], torch.Tensor], vocabulary: Vocabulary,
        *, prompted: bool = False, mute: bool = False,
    ) -> None:  # fmt: skip
        self.data, self.pairs, self.features, self.prompted = data, pairs, features, prompted
        texts = {data.row(pair).instruction for pair in pairs}
        self.pieces = {text: [UNKNOWN] if mute else vocabulary.numbers(text) for text in texts}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Item:
        pair = self.pairs[index]
        row, images = self.data.row(pair), self.data.images(pair, prompted=self.prompted)
        features = torch.stack([self.features(image) for image in images])
        return features, self.pieces[row.instruction], row.state, row.action


def collate(rows: Sequence[Item]) -> Batch:
    """Return the rows as one batch."""
    features, pieces, state, actions = zip(*rows, strict=True)
    return Batch(torch.stack(features), pad(pieces), torch.tensor(state), torch.tensor(actions))


def is_prompted(config: Config) -> bool:
    """Return whether features depend on the instruction."""
    return config.cache.features == PROMPT or bool(config.cache.pt_folder)
