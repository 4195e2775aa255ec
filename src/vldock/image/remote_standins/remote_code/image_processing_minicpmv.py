"""Image processor of the stand-in: overview and slices of each picture, normalised and laid out by patch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature


@dataclass(frozen=True)
class SlicePlan:
    """How one picture is cut; sizes are (width, height) in pixels, a grid (columns, rows).

    Attributes:
        overview: size of the whole picture, reduced.
        grid: the slices' grid, or None where the picture is not cut.
        refined: size of the picture from which the grid's slices are cut.
    """

    overview: tuple[int, int]
    grid: tuple[int, int] | None
    refined: tuple[int, int] | None


def round_to(length: float, step: int) -> int:
    """Return the multiple of `step` nearest to `length`, at least `step`."""
    return max(round(length / step) * step, step)


def fit_area(size: tuple[float, float], side: int, patch: int, enlarge: bool) -> tuple[int, int]:
    """Return `size` scaled to an area of `side` squared, in whole patches; smaller ones only if `enlarge`."""
    width, height = size
    if enlarge or width * height > side * side:
        ratio = width / height
        height = int(side / math.sqrt(ratio))
        width = int(height * ratio)
    return round_to(width, patch), round_to(height, patch)


def choose_grid(size: tuple[int, int], most: int, side: int) -> tuple[int, int] | None:
    """Return the grid whose shape is nearest to the picture's, of about as many cells as it has areas of a slice."""
    width, height = size
    areas = min(math.ceil(width * height / (side * side)), most)
    if areas <= 1:
        return None
    counts = [count for count in (areas - 1, areas, areas + 1) if 1 < count <= most]
    grids = [(columns, count // columns) for count in counts for columns in range(1, count + 1) if count % columns == 0]
    wanted = math.log(width / height)
    return min(grids, key=lambda grid: abs(wanted - math.log(grid[0] / grid[1])))


def plan_slices(size: tuple[int, int], most: int, side: int, patch: int) -> SlicePlan:
    """Return how a picture of `size` is cut."""
    grid = choose_grid(size, most, side)
    if grid is None:
        return SlicePlan(fit_area(size, side, patch, enlarge=True), None, None)
    columns, rows = grid
    cell = (round_to(size[0], columns) / columns, round_to(size[1], rows) / rows)
    width, height = fit_area(cell, side, patch, enlarge=True)
    return SlicePlan(fit_area(size, side, patch, enlarge=False), grid, (width * columns, height * rows))


def map_nested(function: Callable[[Any], Any], value: Any) -> Any:
    """Return `value` with `function` applied to everything in its nested lists."""
    if isinstance(value, list):
        return [map_nested(function, one) for one in value]
    return function(value)


class MiniCPMVBatchFeature(BatchFeature):  # type: ignore[misc]
    """Inputs in nested lists, because pictures have different sizes."""

    def to(self, *args: Any, **kwargs: Any) -> MiniCPMVBatchFeature:
        """Move every tensor."""

        def move(value: Any) -> Any:
            return value.to(*args, **kwargs) if isinstance(value, torch.Tensor) else value

        self.data: dict[str, Any] = {name: map_nested(move, value) for name, value in self.items()}
        return self


class MiniCPMVImageProcessor(BaseImageProcessor):  # type: ignore[misc]
    """Cut, normalise and lay out pictures; writes the marks that stand for them in a prompt."""

    model_input_names: ClassVar[list[str]] = ["pixel_values"]

    def __init__(
        self, max_slice_nums: int = 9, scale_resolution: int = 448, patch_size: int = 14, **kwargs: Any
    ) -> None:
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution
        self.patch_size = patch_size
        self.use_image_id = kwargs.pop("use_image_id", False)
        self.image_feature_size = kwargs.pop("image_feature_size", 64)
        self.im_start_token = kwargs.pop("im_start", "<image>")
        self.im_end_token = kwargs.pop("im_end", "</image>")
        self.slice_start_token = kwargs.pop("slice_start", "<slice>")
        self.slice_end_token = kwargs.pop("slice_end", "</slice>")
        self.unk_token = kwargs.pop("unk", "<unk>")
        self.im_id_start = kwargs.pop("im_id_start", "<image_id>")
        self.im_id_end = kwargs.pop("im_id_end", "</image_id>")
        self.slice_mode = kwargs.pop("slice_mode", True)
        self.mean = np.array(kwargs.pop("norm_mean", [0.5, 0.5, 0.5]))
        self.std = np.array(kwargs.pop("norm_std", [0.5, 0.5, 0.5]))
        self.version = kwargs.pop("version", 2.0)
        super().__init__(**kwargs)

    def get_sliced_images(self, image: Image.Image, max_slice_nums: int | None = None) -> list[Image.Image]:
        """Return the overview of `image`, then its slices, row by row."""
        if not self.slice_mode:
            return [image]
        most = self.max_slice_nums if max_slice_nums is None else int(max_slice_nums)
        plan = plan_slices(image.size, most, self.scale_resolution, self.patch_size)
        images = [image.resize(plan.overview, resample=Image.Resampling.BICUBIC)]
        if plan.grid is not None and plan.refined is not None:
            columns, rows = plan.grid
            width, height = plan.refined[0] // columns, plan.refined[1] // rows
            refined = image.resize(plan.refined, resample=Image.Resampling.BICUBIC)
            corners = [(column * width, row * height) for row in range(rows) for column in range(columns)]
            images += [refined.crop((left, top, left + width, top + height)) for left, top in corners]
        return images

    def get_slice_image_placeholder(
        self,
        image_size: tuple[int, int],
        image_idx: int = 0,
        max_slice_nums: int | None = None,
        use_image_id: bool | None = None,
    ) -> str:
        """Return the marks of one picture: its number, its overview, and its slices with a line for each row."""
        most = self.max_slice_nums if max_slice_nums is None else int(max_slice_nums)
        tokens = self.unk_token * self.image_feature_size
        marks = f"{self.im_start_token}{tokens}{self.im_end_token}"
        if self.use_image_id if use_image_id is None else use_image_id:
            marks = f"{self.im_id_start}{image_idx}{self.im_id_end}{marks}"
        grid = choose_grid(image_size, most, self.scale_resolution) if self.slice_mode else None
        if grid is None:
            return marks
        row = f"{self.slice_start_token}{tokens}{self.slice_end_token}" * grid[0]
        return marks + "\n".join([row] * grid[1])

    def normalize_pixels(self, image: Image.Image) -> np.ndarray:
        """Return `image` as (3, height, width), less `mean`, divided by `std`."""
        pixels = np.asarray(image, dtype=np.float32) / 255
        return np.asarray((pixels - self.mean) / self.std, dtype=np.float32).transpose(2, 0, 1)

    def reshape_by_patch(self, image: np.ndarray) -> torch.Tensor:
        """Return (3, patch, patches x patch) of `image` (3, height, width): its patches side by side."""
        side = self.patch_size
        rows, columns = image.shape[1] // side, image.shape[2] // side
        patches = image.reshape(3, rows, side, columns, side).transpose(0, 2, 1, 3, 4)
        return torch.from_numpy(np.ascontiguousarray(patches).reshape(3, side, -1))

    def preprocess(
        self,
        images: Any,
        do_pad: bool | None = True,
        max_slice_nums: int | None = None,
        return_tensors: Any = None,
    ) -> MiniCPMVBatchFeature:
        """Return pixels, sizes and patch grids of `images`: a picture, a prompt's pictures, or those of several."""
        if isinstance(images, Image.Image):
            images = [[images]]
        elif images and isinstance(images[0], Image.Image):
            images = [images]
        batch = [[picture.convert("RGB") for picture in pictures or []] for pictures in images]
        pixels: list[list[torch.Tensor]] = []
        grids: list[torch.Tensor | list[Any]] = []
        for pictures in batch:
            cut = [one for picture in pictures for one in self.get_sliced_images(picture, max_slice_nums)]
            pixels.append([self.reshape_by_patch(self.normalize_pixels(one)) for one in cut])
            sizes = [(one.height // self.patch_size, one.width // self.patch_size) for one in cut]
            grids.append(torch.tensor(sizes, dtype=torch.int32) if sizes else [])
        sizes_of = [[picture.size for picture in pictures] for pictures in batch]
        return MiniCPMVBatchFeature({"pixel_values": pixels, "image_sizes": sizes_of, "tgt_sizes": grids})
