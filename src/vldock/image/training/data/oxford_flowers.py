"""Oxford Flowers 102 as named pictures.

They come from the archive or the Hub's cache.
Source: Nilsback and Zisserman 2008. The archive is 102flowers.tgz (jpg/image_00001.jpg ...), imagelabels.mat
(`labels`, 1 to 102) and setid.mat (`trnid`, `valid`, `tstid`: numbers of images). Hub copies differ in what a label
means: class names "1", "10", "100" ... are the original numbers in alphabetical order (nelorth's copy), so names decide
and not indices.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.image.training.data import flower_names
from vldock.image.training.data.flower_questions import Flower
from vldock.image.training.data.images import FilePicture, HubPicture
from vldock.image.training.data.problems import Flaw

ARCHIVE, LABELS, SETS = "102flowers.tgz", "imagelabels.mat", "setid.mat"
OFFICIAL = {"train": "trnid", "validation": "valid", "test": "tstid"}


@dataclass(frozen=True)
class Flowers:
    """Splits of flowers, and flaws of their labels."""

    splits: Mapping[str, tuple[Flower, ...]]
    flaws: tuple[Flaw, ...]


def from_archive(folder: Path) -> Flowers:
    """Read the original archive's files in `folder`.

    102flowers.tgz is unpacked there once, where jpg/ is not there yet.

    Raises InputRefused for a file that is absent or no MATLAB file, EnvironmentUnfit where it cannot be unpacked.
    """
    labels = [int(label) for label in _matrix(folder / LABELS, "labels")]
    sets = {split: [int(n) for n in _matrix(folder / SETS, name)] for split, name in OFFICIAL.items()}
    images = _unpacked(folder)
    splits: dict[str, list[Flower]] = {split: [] for split in sets}
    flaws: list[Flaw] = []
    for split, numbers in sets.items():
        for number in numbers:
            path = images / f"image_{number:05d}.jpg"
            label = labels[number - 1] if 1 <= number <= len(labels) else None
            name = flower_names.name_of(label) if label is not None else None
            if label is None:
                flaws.append(Flaw(number, path.stem, "no-label", f"{LABELS} has {len(labels)} labels"))
            elif name is None:
                flaws.append(Flaw(number, path.stem, "no-class", f"label {label}"))
            else:
                splits[split].append(Flower(number, path.stem, FilePicture(path), name))
    return Flowers({split: tuple(found) for split, found in splits.items() if found}, tuple(flaws))


def from_hub(name: str, *, load: Callable[..., Any] | None = None) -> Flowers:
    """Read the data set `name` from the local cache.

    It works offline; errors of vldock.image.offline pass through.

    Raises InputRefused where there is no image or label column, or the labels have no names.
    """
    import datasets

    if load is None:
        from vldock.image.offline import load_dataset

        load = load_dataset
    loaded = load(name)
    found = loaded if isinstance(loaded, Mapping) else {"train": loaded}
    splits: dict[str, tuple[Flower, ...]] = {}
    flaws: list[Flaw] = []
    for split, dataset in found.items():
        column = _column(dataset, name, datasets.Image, "image")
        names = _class_names(dataset, name)
        rows = dataset.cast_column(column, datasets.Image(decode=False))
        flowers = []
        for index, label in enumerate(dataset[_column(dataset, name, datasets.ClassLabel, "label")]):
            flower = names[label] if label is not None and 0 <= label < len(names) else None
            if flower is None:
                flaws.append(Flaw(index + 1, f"{split}[{index}]", "no-class", f"label {label}"))
                continue
            picture = HubPicture(rows, index, column, str(split))
            flowers.append(Flower(index + 1, f"{split}-{index:05d}", picture, flower))
        splits[str(split)] = tuple(flowers)
    return Flowers(splits, tuple(flaws))


def _column(dataset: Any, name: str, kind: type, word: str) -> str:
    columns = [column for column, feature in dataset.features.items() if isinstance(feature, kind)]
    if not columns:
        raise InputRefused(
            f"{name} has no column of kind {kind.__name__}: {dataset.features}",
            expected=f"a column `{word}` with {'images' if word == 'image' else 'named classes'}",
            hint="nelorth/oxford-flowers has both; or use the original archive: data.source=archive data.path=FOLDER",
        )
    return str(columns[0])


def _class_names(dataset: Any, name: str) -> Sequence[str | None]:
    """Return the flower's name for each label index."""
    import datasets

    names: list[str] = dataset.features[_column(dataset, name, datasets.ClassLabel, "label")].names
    if all(word.isdigit() for word in names):
        return [flower_names.name_of(int(word)) for word in names]
    return [word.replace("_", " ").rstrip(" ?") for word in names]


def _matrix(path: Path, name: str) -> Any:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    expected = f"{ARCHIVE} (or jpg/), {LABELS} and {SETS} in one folder"
    hint = "from www.robots.ox.ac.uk/~vgg/data/flowers/102, into the folder given as data.path"
    if not path.is_file():
        raise InputRefused(f"{path} is not there", expected=expected, hint=hint)
    try:
        return loadmat(path)[name].ravel()
    except (KeyError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise InputRefused(f"{path} holds no {name!r}: {error}", expected=expected, hint=hint) from error


def _unpacked(folder: Path) -> Path:
    images = folder / "jpg"
    if images.is_dir():
        return images
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise InputRefused(
            f"neither {images} nor {archive} is there",
            expected="the images of Oxford Flowers 102",
            hint="from www.robots.ox.ac.uk/~vgg/data/flowers/102, into the folder given as data.path",
        )
    partial = folder / ".jpg.partial"
    try:
        with tarfile.open(archive) as stream:
            stream.extractall(partial, filter="data")
        (partial / "jpg").rename(images)
        partial.rmdir()
    except (tarfile.TarError, EOFError) as error:
        raise InputRefused(f"{archive} cannot be unpacked: {error}", hint="copy or download it again") from error
    except OSError as error:
        raise EnvironmentUnfit(
            f"{archive} cannot be unpacked into {folder}: {error}",
            expected="a folder that can be written, with 700 MB free",
            hint=f"mount it writable once, or unpack it: tar -xzf {archive} -C {folder}",
        ) from error
    return images
