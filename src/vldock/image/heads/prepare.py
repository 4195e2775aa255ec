"""Preparation: the episodes and their features."""

from __future__ import annotations

from vldock.image.features import torchrun_store
from vldock.image.features.build import BuildResult, Progress, build
from vldock.image.features.picture_loader import LoaderOptions
from vldock.image.features.picture_rows import ImageRow
from vldock.image.heads.config import Config
from vldock.image.heads.data import Data, cache_root, is_prompted, open_data
from vldock.image.heads.sources import open_model, open_source


def list_images(data: Data, *, prompted: bool) -> list[ImageRow]:
    """Return the pictures of all rows, each with one prompt once."""
    found: dict[tuple[object, str | None], ImageRow] = {}
    for number, one in enumerate(data.sets):
        for row in range(len(one.rows)):
            for image in data.images((number, row), prompted=prompted):
                found.setdefault((image.path, image.prompt), image)
    return list(found.values())


def prepare(config: Config, *, on_progress: Progress = lambda progress: None) -> tuple[Data, BuildResult | None]:
    """Read or draw the episodes and build their features, alone or under torchrun.

    With .pt files nothing is built; each is looked for. Raises the errors of `build`.
    """
    rank, _ = torchrun_store.rank_and_world()
    first = open_data(config) if not rank else None
    torchrun_store.wait()
    data = first or open_data(config)
    if config.cache.pt_folder:
        with open_source(config) as source:
            source.require(data.every_image(prompted=True))
        return data, None
    model, processor = open_model(config, device=torchrun_store.device())
    loader = LoaderOptions(config.cache.batch_size, config.cache.num_workers, config.cache.prefetch_factor)
    limit = int(config.cache.limit * 1e9) or None
    images = list_images(data, prompted=is_prompted(config))
    built = build(
        images, vl_model=model, processor=processor, cache_dir=cache_root(config), dtype=config.cache.dtype,
        limit=limit, loader=loader, on_progress=on_progress,
    )  # fmt: skip
    return data, built
