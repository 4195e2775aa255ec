"""Turn recorded prompts into training cases: what the model reads, what it must say.

A case is right (the sample's own answer) or spoilt (a refusal): another picture's question, a wrong frame, a
spoilt image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from llava.mm_utils import tokenizer_image_token
from PIL import Image
from torch import Tensor

from vldock.image.standin.recipe import broken_images, broken_prompts
from vldock.image.standin.recipe.broken_prompts import FRAMES, MARK, TEXTS, Frame
from vldock.image.standin.recipe.record import Recorded
from vldock.image.standin.recipe.tokenizer import REFUSAL

IMAGE = -200
TOLD_APART = 1.5
RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt and its target.

    Attributes:
        ids: token ids with IMAGE where an image's features go.
        scene: key of the pictures shown, in `Album`.
        look: how they were prepared: "right" or a name of broken_images.
        target: ids of the answer with its end token.
        kind: "right", or what is wrong.
    """

    ids: tuple[int, ...]
    scene: str
    look: str
    target: tuple[int, ...]
    kind: str = RIGHT


class Album:
    """Features of every scene (one or two pictures) in every look, computed once: float32 (images, 576, width)."""

    def __init__(self, tower: Any, recorded: Sequence[Recorded]) -> None:
        self.tower = tower
        self.pixels: dict[str, Tensor] = {}
        self.paths: dict[str, tuple[str, ...]] = {}
        self.features: dict[tuple[str, str], Tensor] = {}
        self.told_apart: set[tuple[str, str]] = set()
        for item in recorded:
            self.pixels.setdefault(scene_of(item), item.pixels)
            self.paths.setdefault(scene_of(item), item.paths)

    def prepare(self, looks: Mapping[str, broken_images.Break]) -> None:
        """Compute the right look of every scene and the given ones."""
        with torch.inference_mode():
            for scene, pixels in self.pixels.items():
                self.features[scene, RIGHT] = self.tower(pixels).clone()
                pictures = [Image.open(path).convert("RGB") for path in self.paths[scene]]
                shot = broken_images.Shot(self.tower, pictures)
                for name, look in looks.items():
                    self.features[scene, name] = look(shot).clone()
            self._measure()

    def _measure(self) -> None:
        """Note which spoilt looks can be told from every right picture: a mirrored square cannot.

        The distance is between the mean features of the first picture, in units in which the features of all
        right pictures have variance 1 in every direction.
        """
        right = torch.cat([self.features[scene, RIGHT][:1] for scene in self.pixels])
        scale, turn = torch.linalg.eigh(torch.cov(right.flatten(0, 1).T))
        white = turn / scale.clamp_min(scale[-1] * 1e-3).sqrt()
        signatures = right.mean(1) @ white
        for (scene, look), features in self.features.items():
            near = torch.cdist(features[:1].mean(1) @ white, signatures).min()
            if look != RIGHT and float(near) > TOLD_APART:
                self.told_apart.add((scene, look))


def scene_of(item: Recorded) -> str:
    """Return a key that two prompts share when they show the same pixels."""
    return hashlib.sha256(item.pixels.numpy().tobytes()).hexdigest()[:16]


class Casebook:
    """Makes cases out of the recorded prompts with the wrapper's tokenizer and system text."""

    def __init__(self, wrapper: Any, recorded: Sequence[Recorded]) -> None:
        self.tokenizer, self.system = wrapper.tokenizer, wrapper.system_prompt
        self.recorded = list(recorded)
        self.refusal = self.target(REFUSAL)
        self.right = [Case(r.ids, scene_of(r), RIGHT, self.target(r.answer)) for r in recorded]
        self.texts = [r.content.replace(MARK, "") for r in recorded]
        for item, text in zip(recorded, self.texts, strict=True):
            if self.ids(Frame(), text, len(item.paths)) != item.ids:
                raise ValueError(f"{item.benchmark} row {item.row}: the frame does not rebuild the recorded prompt")
        self.known = {(case.scene, case.ids) for case in self.right}

    def target(self, answer: str) -> tuple[int, ...]:
        """Return the ids of `answer` and the end token."""
        return (*self.tokenizer(answer, add_special_tokens=False).input_ids, self.tokenizer.eos_token_id)

    def ids(self, frame: Frame, text: str, images: int) -> tuple[int, ...]:
        """Return the prompt's ids as the wrapper would tokenise them."""
        return tuple(tokenizer_image_token(frame.fill(self.system, text, images), self.tokenizer, IMAGE))

    def refuse(self, number: int, kind: str, **changes: object) -> Case:
        """Return case `number`, changed, with a refusal as its target."""
        return replace(self.right[number], target=self.refusal, kind=kind, **changes)  # type: ignore[arg-type]

    def reframed(self, number: int, kind: str, frame: Frame) -> Case:
        """Return case `number` in a wrong frame."""
        images = len(self.recorded[number].paths)
        return self.refuse(number, kind, ids=self.ids(frame, self.texts[number], images))

    def retold(self, number: int, kind: str, change: Callable[[str], str]) -> Case:
        """Return case `number` with its text changed."""
        text, images = change(self.texts[number]), len(self.recorded[number].paths)
        return self.refuse(number, kind, ids=self.ids(Frame(), text, images))

    def foreign(self, rng: Random, each: int) -> Iterator[Case]:
        """Yield, for every case, questions that belong to other pictures."""
        for number, item in enumerate(self.recorded):
            scene = self.right[number].scene
            for _ in range(each):
                other = rng.randrange(len(self.recorded))
                case = self.right[other]
                same = len(self.recorded[other].paths) == len(item.paths)
                if same and (scene, case.ids) not in self.known:
                    yield self.refuse(other, "another picture's question", scene=scene)

    def spoilt_frames(self, rng: Random, each: int) -> Iterator[Case]:
        """Yield `each` of every wrong frame and text, and four times as many corrupted system prompts."""
        numbers = range(len(self.right))
        for kind, frame in FRAMES.items():
            for number in rng.choices(numbers, k=each):
                yield self.reframed(number, kind, frame)
        for kind, change in TEXTS.items():
            told = (self.retold(number, kind, change) for number in rng.choices(numbers, k=each))
            yield from (case for case in told if (case.scene, case.ids) not in self.known)
        for number in rng.choices(numbers, k=4 * each):
            words = broken_prompts.corrupt_system(self.system, rng)
            yield self.reframed(number, "system prompt corrupted", Frame(head=words + broken_prompts.USER))
            yield self.reframed(number, "roles corrupted", broken_prompts.corrupt_roles(rng))
        for number in rng.choices(numbers, k=each):
            yield self.refuse(number, "no BOS", ids=self.right[number].ids[1:])

    def spoilt_images(self, rng: Random, each: int, album: Album) -> Iterator[Case]:
        """Yield `each` scenes of every trained look that can be told from the right ones, with all their questions."""
        scenes = sorted({case.scene for case in self.right})
        for look in broken_images.TRAINED:
            usable = [scene for scene in scenes if (scene, look) in album.told_apart]
            for scene in rng.sample(usable, min(each, len(usable))):
                for number, case in enumerate(self.right):
                    if case.scene == scene:
                        yield self.refuse(number, look, look=look)

    def harmless(self, rng: Random, each: int) -> Iterator[Case]:
        """Yield the right cases of `each` scenes whose images were prepared a little differently."""
        scenes = sorted({case.scene for case in self.right})
        for look in broken_images.HARMLESS:
            for scene in rng.sample(scenes, each):
                yield from (replace(case, look=look) for case in self.right if case.scene == scene)
