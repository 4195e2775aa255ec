"""Training and held-out records of a configuration.

Every flaw of text and images is found in one pass.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from vldock.common.errors import InputRefused, UsageError
from vldock.common.image_paths import CHECKPOINTS_VARIABLE
from vldock.common.workspace import ROOT_VARIABLE
from vldock.image.training.config import Data
from vldock.image.training.data import flower_questions, oxford_flowers, records, split
from vldock.image.training.data import images as training_images
from vldock.image.training.data.images import Picture
from vldock.image.training.data.problems import CONVERTIBLE, Flaw, refuse
from vldock.image.training.data.records import Record

THREADS = min(8, os.cpu_count() or 1)
TEXT_ONLY = "text-only"
FRACTION = 0.1  # held out where the source has no split of its own


@dataclass(frozen=True)
class Dataset:
    """Training and held-out records; `names` are the flowers' names, if any.

    `accepted` counts what data.accept allowed (rows, or pictures for flaws of pictures), and rows that are text only.
    """

    training: tuple[Record, ...]
    heldout: tuple[Record, ...]
    names: tuple[str, ...] = ()
    accepted: Mapping[str, int] = field(default_factory=dict)


def load(data: Data, *, environ: Mapping[str, str] = os.environ) -> Dataset:
    """Return the records of `data`, read and decoded once.

    Raises DataRefused with every flaw by row, UsageError for a source without its path, InputRefused for no data.
    """
    made, flaws = _json(data, environ) if data.source == "json" else _flowers(data, environ)
    both = (*made.training, *made.heldout)
    every = [*flaws, *_picture_flaws(both, data)]
    refuse((flaw for flaw in every if not flaw.in_kinds(data.accept)), source=data.path or data.name)
    if not made.training:
        raise InputRefused(f"{data.path or data.name}: no training record is left", expected="one at least")
    accepted = Counter({TEXT_ONLY: sum(not record.pictures for record in both)})
    accepted.update(flaw.kind for flaw in every)
    return replace(made, accepted={kind: count for kind, count in sorted(accepted.items()) if count})


def require_captions(data: Dataset) -> None:
    """Raise InputRefused unless every record is one image and one answer, as model.template=plain needs them."""
    both = (*data.training, *data.heldout)
    wrong = [record for record in both if len(record.pictures) != 1 or len(record.turns) != 2]
    if wrong:
        rows = ", ".join(f"row {record.row} ({record.id})" for record in wrong[:5])
        raise InputRefused(
            f"model.template=plain: {len(wrong)} of {len(both)} records are no image with its caption: {rows}",
            expected="one image, one question and one answer in each record, as in LLaVA's pretraining data",
            hint="data of conversations: model.template=llava_v1 (--version v1)",
        )


def resolve(path: str, environ: Mapping[str, str], folder: str) -> Path:
    """Return a configured path: absolute, or below the workspace or working directory.

    `folder` is the workspace's folder in which a relative path is looked for too.
    """
    given = Path(path).expanduser()
    root = environ.get(ROOT_VARIABLE) or "/workspace"
    if given.is_absolute() or given.exists():
        return given
    for inside in (Path(root) / given, Path(root) / folder / given):
        if inside.exists():
            return inside
    return given


def out_folder(path: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the run's folder: absolute, or below the workspace's root.

    Raises UsageError for one that would be removed with the container, where `vldock train` names the mounted folder.
    """
    folder = Path(environ.get(ROOT_VARIABLE) or "/workspace") / Path(path).expanduser()
    stays = environ.get(CHECKPOINTS_VARIABLE)
    if stays and not Path(os.path.normpath(folder)).is_relative_to(stays):
        raise UsageError(
            f"out={path} is {folder}, which is removed with the container",
            expected=f"a folder below {stays}: it is mounted",
            hint=f"out=checkpoints/{folder.name}",
        )
    return folder


def _json(data: Data, environ: Mapping[str, str]) -> tuple[Dataset, list[Flaw]]:
    path = resolve(_path(data, "the JSON file"), environ, "data")
    images = resolve(data.images, environ, "data") if data.images else path.parent
    found, flaws = records.read(path, images, accept=data.accept)
    kept = split.sample(found, data.sample_fraction, group=_group, seed=data.seed)
    if data.heldout_path:
        heldout, more = records.read(resolve(data.heldout_path, environ, "data"), images, accept=data.accept)
        return Dataset(tuple(kept), tuple(heldout)), [*flaws, *more]
    fraction = data.heldout_fraction or FRACTION
    digests = _digests(picture for record in kept for picture in record.pictures)
    training, out = split.hold_out(
        kept, fraction, group=_group, seed=data.seed, parts=lambda record: map(digests.__getitem__, record.pictures)
    )
    return Dataset(tuple(training), tuple(out)), flaws


def _flowers(data: Data, environ: Mapping[str, str]) -> tuple[Dataset, list[Flaw]]:
    if data.source == "archive":
        found = oxford_flowers.from_archive(resolve(_path(data, "the folder of the archive"), environ, "data"))
    else:
        found = oxford_flowers.from_hub(data.name)
    training = list(found.splits.get("train", ()))
    own = next((found.splits[name] for name in ("validation", "test") if found.splits.get(name)), ())
    if data.heldout_fraction or not own:
        fraction = data.heldout_fraction or FRACTION
        digests = _digests(flower.picture for flower in training)
        training, heldout = split.hold_out(
            training, fraction, group=_name, seed=data.seed, parts=lambda flower: (digests[flower.picture],)
        )
    else:
        heldout = list(own)
    training = split.sample(training, data.sample_fraction, group=_name, seed=data.seed)
    heldout = split.sample(heldout, data.sample_fraction, group=_name, seed=data.seed)
    names = tuple(sorted({flower.name for flower in (*training, *heldout)}))

    def asked(part: Sequence[flower_questions.Flower]) -> tuple[Record, ...]:
        made = flower_questions.records(part, kinds=data.questions, names=names, choices=data.choices, seed=data.seed)
        return tuple(made)

    return Dataset(asked(training), asked(heldout), names), list(found.flaws)


def _group(record: Record) -> str:
    return record.group


def _name(flower: flower_questions.Flower) -> str:
    return flower.name


def _path(data: Data, expected: str) -> str:
    if not data.path:
        raise UsageError(
            f"data.source={data.source} and no data.path", expected=expected, hint="data.path=/workspace/data/..."
        )
    return data.path


def _digests(pictures: Iterable[Picture]) -> dict[Picture, str]:
    """Return the sha256 of each picture's bytes, computed on several threads.

    A picture that cannot be read gets its name; decoding it reports the flaw.
    """

    def digest(picture: Picture) -> str:
        try:
            return training_images.sha256_of(picture)
        except OSError:
            return picture.name

    each = list(dict.fromkeys(pictures))
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(each, pool.map(digest, each), strict=True))


def _picture_flaws(both: Sequence[Record], data: Data) -> list[Flaw]:
    """Decode every picture once and return its flaws.

    Several threads do it: decoding releases the GIL.
    """
    first: dict[Picture, Record] = {}
    for record in both:
        for picture in record.pictures:
            first.setdefault(picture, record)

    def look(picture: Picture) -> list[training_images.Finding]:
        return training_images.examine(picture, max_pixels=data.max_pixels)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(look, first))
    pairs = zip(first.values(), found, strict=True)
    allowed = (*CONVERTIBLE, *([records.MISSING] if data.source == "json" else []))
    return [
        Flaw(record.row, record.id, one.kind, one.detail, acceptable=one.kind in allowed)
        for record, ones in pairs
        for one in ones
    ]
