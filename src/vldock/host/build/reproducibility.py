"""Proof of reproducibility: two builds compared layer by layer, differing files named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from typing import Any

from vldock.host.images import layer_diff
from vldock.host.images import local as local_images
from vldock.host.util.console import Say


@dataclass(frozen=True)
class LayerPair:
    """One layer of both images: number from 1, diff_ids, build step, differing files."""

    number: int
    first: str | None
    second: str | None
    step: str
    differences: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both are the same bytes."""
        return self.first == self.second


@dataclass(frozen=True)
class Proof:
    """Comparison of two images.

    `drift` lists OS packages that are not the recorded ones.
    """

    first: str
    second: str
    layers: tuple[LayerPair, ...]
    drift: tuple[str, ...] = ()
    matching: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matching", sum(pair.same for pair in self.layers))

    @property
    def holds(self) -> bool:
        """Whether every layer matches."""
        return self.matching == len(self.layers) > 0

    @property
    def verdict(self) -> str:
        """One line: n/n layers match."""
        return f"{self.matching}/{len(self.layers)} layers match"

    def as_dict(self) -> dict[str, Any]:
        """Return the proof for JSON."""
        return {"verdict": self.verdict, "holds": self.holds, **asdict(self)}


def compare(client: Any, first: str, second: str, *, drift: Sequence[str] = (), say: Say) -> Proof:
    """Compare two images of the engine (names or ids), layer by layer.

    Layers that differ are read, and their files compared.

    Raises EnvironmentUnfit where one is not there or the engine cannot save it.
    """
    images = [local_images.find(client, name) for name in (first, second)]
    ids = [local_images.read_identity(client, image).layers for image in images]
    steps = _layer_steps(images[1])
    pairs = [
        LayerPair(number, here, there, next(steps, "?"))
        for number, (here, there) in enumerate(zip_longest(ids[0], ids[1]), start=1)
    ]
    unequal = [pair.number - 1 for pair in pairs if not pair.same and pair.first and pair.second]
    if unequal:
        say(f"{len(unequal)} layers differ: reading both images to name the files (minutes)")
        read = [
            layer_diff.read_layers(local_images.save(client, image), name=str(image.id), wanted=unequal)
            for image in images
        ]
        for number in unequal:
            differences = tuple(layer_diff.compare(read[0][number], read[1][number]))
            pairs[number] = replace(pairs[number], differences=differences)
    return Proof(str(images[0].id), str(images[1].id), tuple(pairs), tuple(drift))


def _layer_steps(image: Any) -> Iterator[str]:
    """Yield the build step of each layer, from the base up."""
    for entry in reversed(image.history()):
        if entry["Size"] or entry["CreatedBy"].startswith(("COPY", "RUN", "ADD", "WORKDIR")):
            yield " ".join(entry["CreatedBy"].removeprefix("/bin/sh -c").split())[:80] or "base image"
