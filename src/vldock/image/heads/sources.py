"""Sources of features for a training: the cache, .pt files, or none for a blind policy."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused, list_first
from vldock.image.features import model_choice, towers
from vldock.image.features.build import encode
from vldock.image.features.cache import FeatureCache
from vldock.image.features.picture_rows import ImageRow, decode, sha256_of
from vldock.image.features.processor import Processor
from vldock.image.features.space import Space
from vldock.image.heads.config import PROMPT, Config
from vldock.image.heads.data import cache_root

SHOWN = 20
HELD = 2 * 10**9  # bytes of features kept in memory
Compute = Callable[[bytes, str | None], torch.Tensor]


@dataclass
class Source:
    """Features of a picture, (tokens, width); those of a prompt are averaged to one token.

    `facts` go into the saved policy; `hits` and `misses` count reads, all of them misses where `computed`.
    """

    key: Callable[[ImageRow], Hashable]
    read: Callable[[ImageRow], torch.Tensor | None]
    facts: dict[str, Any]
    pooled: bool
    place: str
    hint: str
    hits: int = 0
    misses: int = 0
    limit: int = HELD
    computed: bool = False
    _held: dict[Hashable, torch.Tensor] = field(default_factory=dict)
    _bytes: int = 0
    _shape: torch.Size | None = None

    def __call__(self, image: ImageRow) -> torch.Tensor:
        """Return the features of one picture; raises InputRefused where there are none."""
        found = self._find(image)
        if found is None:
            raise InputRefused(f"{_name(image)} is not in {self.place}", expected="its features", hint=self.hint)
        return found

    def _find(self, image: ImageRow) -> torch.Tensor | None:
        at = self.key(image)
        if at in self._held:
            self.hits += 1
            return self._held[at]
        found = self.read(image)
        missed = found is None or self.computed
        self.hits, self.misses = self.hits + (not missed), self.misses + missed
        if found is None:
            return None
        found = self._shaped(found, image)
        if self._bytes + found.nbytes <= self.limit:
            self._held[at] = found
            self._bytes += found.nbytes
        return found

    def require(self, images: Sequence[ImageRow]) -> None:
        """Raise InputRefused with the pictures that have no features."""
        missing = [_name(image) for image in images if self._find(image) is None]
        if missing:
            raise InputRefused(
                f"{len(missing)} of {len(images)} pictures are not in {self.place}:{list_first(missing, SHOWN)}",
                expected="features of this model, preprocessing, layer and dtype",
                hint=self.hint,
            )

    def _shaped(self, found: torch.Tensor, image: ImageRow) -> torch.Tensor:
        if self.pooled:
            found = pool(found)
        self._shape = self._shape or found.shape
        if found.shape != self._shape or found.dim() != 2:
            raise InputRefused(
                f"{_name(image)}: features of shape {tuple(found.shape)}",
                expected=f"(tokens, width), {tuple(self._shape)} as the first", hint="a model without crops (anyres)",
            )  # fmt: skip
        return found


def pool(features: torch.Tensor) -> torch.Tensor:
    """Return the states of a prompt's positions, averaged to one float32 token."""
    return features.float().reshape(-1, features.shape[-1]).mean(dim=0, keepdim=True)


def _name(image: ImageRow) -> str:
    said = f", {image.prompt!r}" if image.prompt else ""
    return f"{image.dataset} vlm{image.vlm_idx} ({image.path.name}{said})"


def open_model(config: Config, *, device: str | None = None) -> tuple[Any, Processor]:
    """Return the model and processor of the configured features; reads no weights."""
    cache = config.cache
    choice = model_choice.ModelChoice(
        "" if cache.model_code else cache.model, cache.model_code, cache.features == PROMPT, cache.hidden, cache.tokens,
        cache.resize,
    )  # fmt: skip
    return model_choice.open_model(choice, device=device)


def compute_function(model: Any, processor: Processor) -> Compute:
    """Return the function that computes features from an image's bytes and its prompt."""
    return lambda content, prompt: encode([processor(decode(content))], model, [prompt])[0]


@contextmanager
def open_source(config: Config, *, cached: bool = True) -> Iterator[Source]:
    """Yield the configured source; with `cached` false every feature is computed every time."""
    if config.cache.pt_folder:
        yield _pt_source(config)
        return
    model, processor = open_model(config)
    space = towers.space_of(model, processor, config.cache.dtype)
    facts = {"cache": asdict(config.cache), "space": asdict(space)}
    prompted, hint = config.cache.features == PROMPT, "python -m vldock.image.heads --prepare, with the same settings"
    if not cached:
        compute = compute_function(model, processor)
        dtype = getattr(torch, space.dtype)
        yield Source(
            _row, lambda image: compute(image.path.read_bytes(), image.prompt).to(dtype).cpu(), facts, prompted,
            "memory", hint, limit=0, computed=True,
        )  # fmt: skip
        return
    root = cache_root(config)
    with FeatureCache(root, space) as cache:
        keys = _Keys(space)
        yield Source(keys, lambda image: cache.get(keys(image)), facts, prompted, str(root), hint)


class _Keys:
    """Keys of pictures in the cache; each is read and hashed once in a training."""

    def __init__(self, space: Space) -> None:
        self.space, self.known = space, dict[tuple[str, int], str]()

    def __call__(self, image: ImageRow) -> str:
        if _row(image) not in self.known:
            self.known[_row(image)] = self.space.key(sha256_of(image.path.read_bytes()), image.prompt)
        return self.known[_row(image)]


def _row(image: ImageRow) -> tuple[str, int]:
    return image.dataset, image.vlm_idx


def _pt_source(config: Config) -> Source:
    from vldock.image.features.pt_files import PtCache

    root = Path(config.cache.pt_folder)
    if not root.is_dir():
        raise InputRefused(
            f"cache.pt_folder {root}: no such folder", expected="{prompt hash}/{data set}_vlm{number}.pt"
        )
    facts = {"cache": asdict(config.cache), "space": None}
    files = PtCache(root)

    def read(image: ImageRow) -> torch.Tensor | None:
        return files.read(prompt=image.prompt, dataset=image.dataset, index=image.vlm_idx)

    return Source(_row, read, facts, True, str(root), "a file's number is row * cameras + camera")


def blind(width: int) -> Callable[[ImageRow], torch.Tensor]:
    """Return the source of a blind policy: one token of zeros for every picture."""
    nothing = torch.zeros(1, width)
    return lambda image: nothing
