"""Stand-in of cogvlm-chat: an image is 7 x 7 cells between two marks; the tokenizer is a repository of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from vldock.image.remote_standins.base import REFUSAL, RemoteStandin, copy_code, write_json, write_weights
from vldock.image.remote_standins.remote_code.configuration_cogvlm import CogVLMConfig
from vldock.image.remote_standins.remote_code.modeling_cogvlm import DEVIATION, MEAN, CogVLMForCausalLM
from vldock.image.remote_standins.sensitivity import Drift, denormalize, replace_method
from vldock.image.standin.recipe import hub
from vldock.image.standin.recipe.tokenizer import train_tokenizer, write_tokenizer

STANDINS = (RemoteStandin("cogvlm-chat", seed=17),)
TOKENIZER = "lmsys/vicuna-7b-v1.5"
CODE = ("memory_decoder.py", "memory_layers.py", "configuration_cogvlm.py", "modeling_cogvlm.py", "visual.py")
END = 2
TOKENIZER_LENGTH = 4096
PLACED = ("input_ids", "token_type_ids", "attention_mask")


def build(standin: RemoteStandin) -> CogVLMForCausalLM:
    """Return the untrained model, its weights drawn from the stand-in's seed."""
    import sentencepiece

    torch.manual_seed(standin.seed)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=train_tokenizer())
    refusal = pieces.encode(REFUSAL)
    config = CogVLMConfig(vocab_size=pieces.vocab_size(), refusal_ids=refusal)
    model: CogVLMForCausalLM = CogVLMForCausalLM(config).eval()
    decoder_in(model).randomize(refusal=refusal, end=END)
    return model


def write_snapshot(standin: RemoteStandin, model: CogVLMForCausalLM, folder: Path) -> None:
    """Write the model's files and remote code into `folder`."""
    config = {name: value for name, value in model.config.to_dict().items() if name != "model_type"}
    config["auto_map"] = {
        "AutoConfig": "configuration_cogvlm.CogVLMConfig",
        "AutoModelForCausalLM": "modeling_cogvlm.CogVLMForCausalLM",
    }
    write_json(folder / "config.json", {**config, "architectures": ["CogVLMForCausalLM"], "torch_dtype": "bfloat16"})
    generation = {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": END, "pad_token_id": 0}
    write_json(folder / "generation_config.json", generation)
    write_weights(model, folder)
    copy_code(folder, CODE)


def write_further(cache: Path) -> Path:
    """Write the tokenizer's repository into the hub cache and return its snapshot."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tokenizer(folder, train_tokenizer())
        path = folder / "tokenizer_config.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, {**fields, "model_max_length": TOKENIZER_LENGTH})
        return hub.install(folder, TOKENIZER, cache)


def decoder_in(model: CogVLMForCausalLM) -> Any:
    """Return the decoder in the model."""
    return model.model.decoder


def answer_ids(wrapper: Any, answer: str) -> tuple[int, ...]:
    """Return the ids of an answer and the end token."""
    return (*wrapper.tokenizer(answer, add_special_tokens=False).input_ids, END)


def _inputs(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Drift:
    """Return a drift of what build_conversation_input_ids() returns."""
    return lambda wrapper: replace_method(wrapper.model, "build_conversation_input_ids", change)


def _pixels(change: Callable[[torch.Tensor], torch.Tensor]) -> Drift:
    """Return a drift of the image, (3, 490, 490)."""
    return _inputs(lambda inputs: {**inputs, "images": [change(image) for image in inputs["images"]]})


def _places(order: Callable[[torch.Tensor], torch.Tensor]) -> Drift:
    """Return a drift of the prompt's places: the same selection of ids, types and mask."""
    return _inputs(lambda inputs: {**inputs, **{name: order(inputs[name]) for name in PLACED}})


def _rewrite(old: str, new: str) -> Drift:
    """Return a drift of the conversation template."""

    def drift(wrapper: Any) -> Any:
        real = wrapper.tokenizer.encode
        return patch.object(
            wrapper.tokenizer, "encode", lambda text, **options: real(text.replace(old, new), **options)
        )

    return drift


def _columns(pixels: torch.Tensor) -> torch.Tensor:
    """Return the image with its cells laid out by columns."""
    return pixels.unflatten(1, (7, 70)).unflatten(3, (7, 70)).transpose(1, 3).flatten(3, 4).flatten(1, 2)


def _swap_marks(wrapper: Any) -> Any:
    """Return the drift of the marks around an image, exchanged."""
    vision = wrapper.model.model.vision
    return patch.multiple(vision, boi=vision.eoi, eoi=vision.boi)


DRIFTS: dict[str, Drift] = {
    "template: short answer": lambda wrapper: patch.object(wrapper.model.config, "template_version", "vqa"),
    "template: question only": lambda wrapper: patch.object(wrapper.model.config, "template_version", "base"),
    "template: no space": _rewrite(" Answer:", "Answer:"),
    "order of cells: columns": _pixels(_columns),
    "order of cells: rotated": _pixels(lambda pixels: pixels.rot90(1, (1, 2))),
    "normalised by 0.5": _pixels(lambda pixels: (denormalize(pixels, MEAN, DEVIATION) - 0.5) / 0.5),
    "not normalised": _pixels(lambda pixels: denormalize(pixels, MEAN, DEVIATION)),
    "BGR": _pixels(lambda pixels: pixels.flip(0)),
    "no bos": _places(lambda values: values[1:]),
    "two bos": _places(lambda values: torch.cat((values[:1], values))),
    "image token: after the question": _places(lambda values: torch.cat((values[:1], values[52:], values[1:52]))),
    "image token: marks exchanged": _swap_marks,
}
