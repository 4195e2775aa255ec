"""Stand-ins of InternVL2-2B and InternVL2-8B: 448-pixel tiles of 16 tokens each."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from vldock.image.remote_standins.base import REFUSAL, TOKEN, RemoteStandin, copy_code, write_json, write_weights
from vldock.image.remote_standins.remote_code.configuration_internvl_chat import InternVLChatConfig
from vldock.image.remote_standins.remote_code.modeling_internvl_chat import END, START, SYSTEM, InternVLChatModel
from vldock.image.remote_standins.sensitivity import denormalize, replace_method
from vldock.image.standin.recipe.tokenizer import train_tokenizer

STANDINS = (
    RemoteStandin("InternVL2-2B", seed=2),
    RemoteStandin("InternVL2-8B", seed=8),
)
CODE = (
    "memory_decoder.py",
    "memory_layers.py",
    "configuration_internvl_chat.py",
    "modeling_internvl_chat.py",
    "tokenization_internlm2.py",
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ADDED = (START, END, "<img>", "</img>", "<IMG_CONTEXT>")


def build(standin: RemoteStandin) -> InternVLChatModel:
    """Return the untrained model, its weights drawn from the stand-in's seed."""
    torch.manual_seed(standin.seed)
    pieces = _pieces()
    size = pieces.vocab_size()
    config = InternVLChatConfig(
        llm_config={
            "vocab_size": size + len(ADDED),
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
            "refusal_ids": pieces.encode(REFUSAL),
            "architectures": ["InternLM2ForCausalLM"],
        },
        vision_config={"image_size": 448, "patch_size": 56, "architectures": ["InternVisionModel"]},
    )
    model: InternVLChatModel = InternVLChatModel(config).eval()
    model.language_model.randomize(refusal=config.llm_config.refusal_ids, end=size + ADDED.index(END))
    return model


def write_snapshot(standin: RemoteStandin, model: InternVLChatModel, folder: Path) -> None:
    """Write the model's files, remote code and tokenizer into `folder`."""
    config = model.config.to_dict()
    config["auto_map"] = {
        "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
        "AutoModel": "modeling_internvl_chat.InternVLChatModel",
        "AutoModelForCausalLM": "modeling_internvl_chat.InternVLChatModel",
    }
    write_json(folder / "config.json", {**config, "architectures": ["InternVLChatModel"], "torch_dtype": "bfloat16"})
    write_weights(model, folder)
    copy_code(folder, CODE)
    (folder / "tokenizer.model").write_bytes(train_tokenizer())
    size = _pieces().vocab_size()
    first = dict(enumerate(("<unk>", "<s>", "</s>")))
    added = {**first, **{size + number: token for number, token in enumerate(ADDED)}}
    tokenizer = {
        "added_tokens_decoder": {str(number): {**TOKEN, "content": token} for number, token in added.items()},
        "additional_special_tokens": list(ADDED),
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 8192,
        "tokenizer_class": "InternLM2Tokenizer",
    }
    write_json(folder / "tokenizer_config.json", tokenizer)


def decoder_in(model: InternVLChatModel) -> Any:
    """Return the decoder in the model."""
    return model.language_model


def answer_ids(wrapper: Any, answer: str) -> tuple[int, ...]:
    """Return the ids of an answer and the end of the turn."""
    tokenizer = wrapper.tokenizer
    return (*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.convert_tokens_to_ids(END))


def _pieces() -> Any:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=train_tokenizer())


def _tiles(change: Any) -> Any:
    """Return a drift of the tiles (n, 3, 448, 448) that the wrapper cuts an image into."""

    def drift(_: Any) -> Any:
        from vlmeval.vlm.internvl import internvl_chat

        return replace_method(internvl_chat, "load_image", change)

    return drift


def _rewrite(old: str, new: str) -> Any:
    """Return a drift of the conversation template."""
    return lambda wrapper: replace_method(wrapper.model, "format_query", lambda text: text.replace(old, new))


def _context_token(wrapper: Any) -> Any:
    """Return the drift of image features written over another token."""
    return patch.object(
        wrapper.model, "chat", functools.partial(wrapper.model.chat, IMG_CONTEXT_TOKEN="</img>", IMG_END_TOKEN="")
    )


DRIFTS = {
    "template: no newline": _rewrite("assistant\n", "assistant"),
    "template: other roles": _rewrite(f"{START}user", f"{START}human"),
    "template: no system": _rewrite(SYSTEM, ""),
    "order of tiles: reversed": _tiles(lambda tiles: tiles.flip(0) if len(tiles) > 1 else tiles.flip(3)),
    "order of tiles: thumbnail first": _tiles(lambda tiles: tiles.roll(1, 0) if len(tiles) > 1 else tiles.flip(2)),
    "normalised by 0.5": _tiles(lambda tiles: (denormalize(tiles, MEAN, STD) - 0.5) / 0.5),
    "not normalised": _tiles(lambda tiles: denormalize(tiles, MEAN, STD)),
    "BGR": _tiles(lambda tiles: tiles.flip(1)),
    "no bos": lambda wrapper: patch.object(wrapper.tokenizer, "add_bos_token", False),
    "image token: another": _context_token,
    "image token: before the system text": _rewrite(f"{START}system", f"<image>{START}system"),
}
