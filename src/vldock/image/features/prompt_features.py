"""Prompt-dependent features: hidden states of a whole LLaVA.

They are computed one question at a time.
No padding and no batch: a feature is the same whatever it was computed beside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch

from vldock.common.errors import InputRefused
from vldock.image.features.processor import ClipProcessor
from vldock.image.features.space import LAST, MEAN
from vldock.image.features.towers import Identified, Tower, checkpoint_of, open_tower
from vldock.image.llava_hooks import loading, markers
from vldock.image.weights import model_files
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation

TEMPLATES = {"llava-llama": "vicuna_v1", "llava-mistral": "mistral_instruct"}  # llava/conversation.py


@runtime_checkable
class PromptedModel(Identified, Protocol):
    """Frozen model of pixels and a prompt."""

    def encode_prompted(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        """Return the features (tokens, width) of one image and one prompt.

        `pixels` are float32 of shape (3, H, W).
        """


@dataclass
class PromptReader:
    """Language model of a LLaVA, loaded when the first picture is encoded."""

    identity: str
    load: Callable[[], tuple[Any, Any]]  # tokenizer and model
    template: str
    device: str
    dtype: torch.dtype
    hidden: int = -1
    tokens: str = LAST
    _loaded: tuple[Any, Any] | None = field(default=None, repr=False)

    @property
    def layer(self) -> str:
        """Return the layer's name: "language hidden -1, last, vicuna_v1"."""
        return f"language hidden {self.hidden}, {self.tokens}, {self.template}"

    @property
    def computed(self) -> str:
        """Return dtype and library: "float32, torch 2.1.2"."""
        return f"{str(self.dtype).removeprefix('torch.')}, torch {torch.__version__}"

    def encode_prompted(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        """Return hidden states (tokens, width) on the model's device, in its dtype or for a mean float32.

        Raises InputRefused where the model has no such hidden state, or would cut the prompt.
        """
        if self._loaded is None:
            self._loaded = self.load()
        tokenizer, model = self._loaded
        ids = self._ids(tokenizer, prompt)[None].to(model.device)
        images = pixels[None].to(device=model.device, dtype=model.dtype)
        with torch.inference_mode():
            seen = model(input_ids=ids, images=images, output_hidden_states=True, use_cache=False, return_dict=True)
        states: tuple[torch.Tensor, ...] = seen.hidden_states
        if not -len(states) <= self.hidden < len(states):
            raise InputRefused(f"hidden state {self.hidden}", expected=f"-{len(states)} to {len(states) - 1}")
        limit = getattr(model.config, "tokenizer_model_max_length", None)
        if limit and states[-1].shape[1] >= limit:
            raise InputRefused(f"a prompt of {limit} positions or more: {prompt[:60]!r}", expected=f"below {limit}")
        found = states[self.hidden][0]
        if self.tokens == MEAN:
            return found.float().mean(dim=0, keepdim=True)
        return found[-1:] if self.tokens == LAST else found

    def _ids(self, tokenizer: Any, prompt: str) -> torch.Tensor:
        from llava.constants import DEFAULT_IMAGE_TOKEN, IMAGE_TOKEN_INDEX
        from llava.conversation import conv_templates
        from llava.mm_utils import tokenizer_image_token

        conversation = conv_templates[self.template].copy()
        conversation.append_message(conversation.roles[0], f"{DEFAULT_IMAGE_TOKEN}\n{markers.disguise(prompt)}")
        conversation.append_message(conversation.roles[1], None)
        ids: torch.Tensor = tokenizer_image_token(
            conversation.get_prompt(), tokenizer, IMAGE_TOKEN_INDEX, return_tensors="pt"
        )
        return ids


def open_reader(
    name: str, *, hidden: int = -1, tokens: str = LAST, device: str | None = None
) -> tuple[PromptReader, ClipProcessor]:
    """Return a LLaVA's language model and processor; reads no weights.

    Raises InputRefused where it is not here, is no LLaVA, or cuts pictures into crops (anyres).
    """
    name = checkpoint_of(name)
    tower, processor = open_tower(name, device=device)
    place = model_location.resolve(name)
    family = naming.model_name(place)
    facts = model_files.facts(name)
    if facts is None or family not in TEMPLATES:
        raise InputRefused(
            f"{name} is {family}",
            expected=f"features with a prompt are of {' or '.join(TEMPLATES)}",
            hint="no --prompt",
        )
    if getattr(processor.config, "image_aspect_ratio", None) == "anyres":
        raise InputRefused(
            f"{name} reads crops of a picture (anyres)", expected="a LLaVA-1.5 for features with a prompt"
        )
    identity = hashlib.sha256(f"{facts['sha256']} {tower.identity}".encode()).hexdigest()
    return PromptReader(
        identity, _loader(place, tower), TEMPLATES[family], tower.device, tower.dtype, hidden, tokens
    ), processor


def _loader(place: ModelLocation, tower: Tower) -> Callable[[], tuple[Any, Any]]:
    def load() -> tuple[Any, Any]:
        from vldock.image.workspace.builder import load_place

        tokenizer, model, _, _ = load_place(place, device=tower.device)
        return tokenizer, model.to(loading.choose_dtype(None, tower.device)).eval()

    return load
