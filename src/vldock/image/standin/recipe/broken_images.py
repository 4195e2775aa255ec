"""Ways to spoil an image between the file and the projector, with what they leave of it as features.

The first table is trained against (the right answer is then a refusal), the second only measured. `HARMLESS` must
not change an answer: another resampling filter and a little noise are no breakage.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from llava.mm_utils import process_images
from PIL import Image, ImageOps
from torch import Tensor

Pictures = Sequence[Image.Image]
PAD = Namespace(image_aspect_ratio="pad")
SQUARE = Namespace(image_aspect_ratio=None)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Shot:
    """Some pictures on their way through LLaVA's tower (llava CLIPVisionTower); the right results are kept."""

    tower: Any
    pictures: Pictures

    def prepare(self, mode: Namespace = PAD, pictures: Pictures | None = None, **settings: Any) -> Tensor:
        """Return pixels (images, 3, 336, 336) from LLaVA's own process_images, with some processor settings changed."""
        processor = deepcopy(self.tower.image_processor)
        for name, value in settings.items():
            setattr(processor, name, value)
        chosen = list(self.pictures if pictures is None else pictures)
        return torch.as_tensor(process_images(chosen, processor, mode)).float()

    def encode(self, pixels: Tensor, layer: int | None = None) -> Tensor:
        """Return patch features (images, 576, width) of the layer LLaVA selects, or of another one."""
        if layer is None:
            return torch.as_tensor(self.tower(pixels))
        states = self.tower.vision_tower(pixels, output_hidden_states=True).hidden_states
        return torch.as_tensor(states[layer][:, 1:])

    @cached_property
    def pixels(self) -> Tensor:
        """The right pixels."""
        return self.prepare()

    @cached_property
    def features(self) -> Tensor:
        """The right features."""
        return self.encode(self.pixels)


Break = Callable[[Shot], Tensor]


def _pixels(change: Callable[[Tensor], Tensor]) -> Break:
    return lambda shot: shot.encode(change(shot.pixels))


def _pictures(change: Callable[[Image.Image], Image.Image]) -> Break:
    return lambda shot: shot.encode(shot.prepare(pictures=[change(picture) for picture in shot.pictures]))


def _settings(mode: Namespace = PAD, **settings: Any) -> Break:
    return lambda shot: shot.encode(shot.prepare(mode, **settings))


def _features(change: Callable[[Tensor], Tensor]) -> Break:
    return lambda shot: change(shot.features)


def _layer(number: int) -> Break:
    return lambda shot: shot.encode(shot.pixels, number)


def _statistics(shot: Shot) -> tuple[Tensor, Tensor]:
    processor = shot.tower.image_processor
    return torch.tensor(processor.image_mean)[:, None, None], torch.tensor(processor.image_std)[:, None, None]


def _swap(shot: Shot) -> Tensor:
    processor = shot.tower.image_processor
    return shot.encode(shot.prepare(image_mean=processor.image_std, image_std=processor.image_mean))


def _swap_late(shot: Shot) -> Tensor:
    mean, std = _statistics(shot)
    return shot.encode((shot.pixels * std + mean - std) / mean)


def _blank(color: tuple[int, int, int]) -> Break:
    return _pictures(lambda p: Image.new("RGB", p.size, color))


def _shuffle(features: Tensor) -> Tensor:
    return features[:, torch.randperm(features.shape[1], generator=torch.Generator().manual_seed(0))]


TRAINED: Mapping[str, Break] = {
    "mean and std swapped": _swap,
    "mean and std swapped after padding": _swap_late,
    "not normalised": _settings(do_normalize=False),
    "not rescaled": _settings(do_rescale=False),
    "mean not subtracted": _settings(image_mean=[0.0, 0.0, 0.0]),
    "BGR": _pixels(lambda x: x.flip(1)),
    "channels rolled": _pixels(lambda x: x.roll(1, 1)),
    "cropped, not padded": _settings(SQUARE),
    "stretched, not padded": _pictures(lambda p: p.resize((336, 336))),
    "mirrored": _pictures(ImageOps.mirror),
    "upside down": _pictures(ImageOps.flip),
    "turned a quarter": _pictures(lambda p: p.transpose(Image.Transpose.ROTATE_90)),
    "negative": _pictures(ImageOps.invert),
    "black image": _blank((0, 0, 0)),
    "white image": _blank((255, 255, 255)),
    "grey image": _blank((122, 116, 104)),
    "layer -1": _layer(-1),
    "layer 0": _layer(0),
    "features zero": _features(torch.zeros_like),
    "features halved": _features(lambda x: x * 0.5),
}
HELD_OUT: Mapping[str, Break] = {
    "first half of the features": _features(lambda x: torch.cat((x[:, :288], x[:, :288]), 1)),
    "features transposed": _features(lambda x: x.unflatten(1, (24, 24)).transpose(1, 2).flatten(1, 2)),
    "features reversed": _features(lambda x: x.flip(1)),
    "features shuffled": _features(_shuffle),
    "ImageNet mean and std": _settings(image_mean=IMAGENET[0], image_std=IMAGENET[1]),
    "mean and std 0.5": _settings(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]),
    "std not divided": _settings(image_std=[1.0, 1.0, 1.0]),
    "grayscale": _pictures(lambda p: p.convert("L").convert("RGB")),
    "turned half": _pictures(lambda p: p.transpose(Image.Transpose.ROTATE_180)),
    "rescaled twice": _pixels(lambda x: x / 255),
    "layer 1": _layer(1),
    "features of noise": _features(lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(1))),
    "features rolled": _features(lambda x: x.roll(100, 1)),
    "features doubled": _features(lambda x: x * 2),
    "padded with black": _pictures(lambda p: ImageOps.pad(p, (max(p.size),) * 2, color=(0, 0, 0))),
    "red image": _blank((220, 30, 30)),
}
HARMLESS: Mapping[str, Break] = {
    "bilinear": _settings(resample=Image.Resampling.BILINEAR),
    "noise": _pixels(lambda x: x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))),
}
