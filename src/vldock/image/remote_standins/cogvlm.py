"""Stand-in of cogvlm-chat: an image is 7 x 7 cells between two marks; the tokenizer is a repository of its own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from vldock.image.remote_standins.base import REFUSAL, RemoteStandin, copy_code, write_json, write_weights
from vldock.image.remote_standins.remote_code.configuration_cogvlm import CogVLMConfig
from vldock.image.remote_standins.remote_code.modeling_cogvlm import CogVLMForCausalLM
from vldock.image.standin.recipe import hub
from vldock.image.standin.recipe.tokenizer import train_tokenizer, write_tokenizer

STANDINS = (RemoteStandin("cogvlm-chat", "THUDM/cogvlm-chat-hf", seed=17),)
TOKENIZER = "lmsys/vicuna-7b-v1.5"
CODE = ("memory_decoder.py", "memory_layers.py", "configuration_cogvlm.py", "modeling_cogvlm.py", "visual.py")
END = 2
TOKENIZER_LENGTH = 4096


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


def decoder_of(wrapper: Any) -> Any:
    """Return the decoder in VLMEvalKit's CogVlm."""
    return decoder_in(wrapper.model)


def decoder_in(model: CogVLMForCausalLM) -> Any:
    """Return the decoder in the model."""
    return model.model.decoder


def answer_ids(wrapper: Any, answer: str) -> tuple[int, ...]:
    """Return the ids of an answer and the end token."""
    return (*wrapper.tokenizer(answer, add_special_tokens=False).input_ids, END)
