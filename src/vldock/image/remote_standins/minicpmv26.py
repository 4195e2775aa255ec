"""Stand-in for openbmb/MiniCPM-V-2_6: the real one's files, tokens and slices, and a decoder of two blocks."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import ImageOps

from vldock.image.remote_standins.base import REFUSAL, RemoteStandin, copy_code, write_json, write_weights
from vldock.image.remote_standins.qwen2_tokenizer import SYSTEM, train_tokenizer, write_tokenizer
from vldock.image.remote_standins.remote_code.configuration_minicpm import MiniCPMVConfig
from vldock.image.remote_standins.remote_code.modeling_minicpmv import MiniCPMV
from vldock.image.remote_standins.sensitivity import replace_method

STANDINS = (RemoteStandin("MiniCPM-V-2_6", seed=26),)
CODE = (
    "configuration_minicpm.py",
    "image_processing_minicpmv.py",
    "memory_decoder.py",
    "memory_layers.py",
    "modeling_minicpmv.py",
    "modeling_navit_siglip.py",
    "processing_minicpmv.py",
    "resampler.py",
    "tokenization_minicpmv_fast.py",
)
RADIUS = 0.001  # bfloat16 moves a state by 0.00003 at most, another image mark by 0.002 at least
SLICES = 9
TOKENS = 16  # a picture or slice; the real one has 64
PROCESSOR = {
    "image_processor_type": "MiniCPMVImageProcessor",
    "auto_map": {
        "AutoProcessor": "processing_minicpmv.MiniCPMVProcessor",
        "AutoImageProcessor": "image_processing_minicpmv.MiniCPMVImageProcessor",
    },
    "processor_class": "MiniCPMVProcessor",
    "max_slice_nums": SLICES,
    "scale_resolution": 448,
    "patch_size": 14,
    "use_image_id": True,
    "image_feature_size": TOKENS,
    "im_start": "<image>",
    "im_end": "</image>",
    "slice_start": "<slice>",
    "slice_end": "</slice>",
    "unk": "<unk>",
    "im_id_start": "<image_id>",
    "im_id_end": "</image_id>",
    "slice_mode": True,
    "norm_mean": [0.5, 0.5, 0.5],
    "norm_std": [0.5, 0.5, 0.5],
    "version": 2.6,
}


def build(standin: RemoteStandin) -> MiniCPMV:
    """Return the untrained model, its weights drawn from the stand-in's seed."""
    torch.manual_seed(standin.seed)
    tokenizer = train_tokenizer()
    end = tokenizer.token_to_id("<|im_end|>")
    config = MiniCPMVConfig(
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=tokenizer.token_to_id("<|endoftext|>"),  # the real config.json's, not its tokenizer's
        eos_token_id=end,
        refusal_ids=tokenizer.encode(REFUSAL).ids,
        query_num=TOKENS,
    )
    model: MiniCPMV = MiniCPMV(config).eval()
    model.llm.randomize(refusal=config.refusal_ids, end=end)
    return model


def write_snapshot(standin: RemoteStandin, model: MiniCPMV, folder: Path) -> None:
    """Write the model's files, remote code, tokenizer and processor into `folder`."""
    config = model.config.to_dict()
    config["auto_map"] = {
        "AutoConfig": "configuration_minicpm.MiniCPMVConfig",
        "AutoModel": "modeling_minicpmv.MiniCPMV",
        "AutoModelForCausalLM": "modeling_minicpmv.MiniCPMV",
    }
    write_json(folder / "config.json", {**config, "architectures": ["MiniCPMV"], "torch_dtype": "bfloat16"})
    write_weights(model, folder)
    copy_code(folder, CODE)
    write_tokenizer(train_tokenizer(), folder)
    write_json(folder / "preprocessor_config.json", PROCESSOR)


def decoder_in(model: MiniCPMV) -> Any:
    """Return the decoder in the model."""
    return model.llm


def answer_ids(wrapper: Any, answer: str) -> tuple[int, ...]:
    """Return the ids of an answer and the end of the turn."""
    tokenizer = wrapper.tokenizer
    return (*tokenizer.encode(answer, add_special_tokens=False), tokenizer.convert_tokens_to_ids("<|im_end|>"))


def vary_message(wrapper: Any, benchmark: str) -> Iterator[AbstractContextManager[Any]]:
    """Yield a context for each number of slices that the wrapper's random enlargement leads to."""
    if not wrapper.use_upsize(benchmark):
        yield contextlib.nullcontext()
        return
    for slices in range(1, SLICES + 1):
        yield _enlarge(((slices - 0.5) / SLICES) ** 0.5)


def _enlarge(part: float) -> AbstractContextManager[Any]:
    """Return a context in which the wrapper draws `part` of the largest width, which makes SLICES slices."""
    return patch.object(random.Random, "randint", lambda _, least, most: max(least, round(part * most)))


def _template(old: str, new: str) -> Any:
    """Return a drift of the chat template."""

    def drift(wrapper: Any) -> Any:
        tokenizer = wrapper.model.processor.tokenizer
        return patch.object(tokenizer, "chat_template", tokenizer.chat_template.replace(old, new))

    return drift


def _slices(change: Any) -> Any:
    """Return a drift of an overview and its slices."""
    return lambda wrapper: replace_method(wrapper.model.processor.image_processor, "get_sliced_images", change)


def _processor(**values: Any) -> Any:
    """Return a drift of the image processor's values."""
    return lambda wrapper: patch.multiple(wrapper.model.processor.image_processor, **values)


def _start_token(wrapper: Any) -> Any:
    """Return the drift of answers that start with config.json's bos token."""
    return patch.object(wrapper.model.llm.generation_config, "bos_token_id", wrapper.model.config.bos_token_id)


def _no_number(wrapper: Any) -> Any:
    """Return the drift of pictures without <image_id>."""
    chat = wrapper.model.chat
    return patch.object(wrapper.model, "chat", lambda **options: chat(**{**options, "use_image_id": False}))


# an order of slices changes nothing in a picture that is not cut: that one is turned over instead
DRIFTS = {
    "template: no newline": _template("assistant\n", "assistant"),
    "template: other roles": _template("message['role'] +", "message['role'].replace('user', 'human') +"),
    "template: no system": _template(SYSTEM, ""),
    "order: slices reversed": _slices(lambda cut: [cut[0], *cut[:0:-1]] if len(cut) > 1 else [ImageOps.mirror(cut[0])]),
    "order: overview last": _slices(lambda cut: [*cut[1:], cut[0]] if len(cut) > 1 else [ImageOps.flip(cut[0])]),
    "normalised by CLIP's mean and std": _processor(
        mean=np.array([0.48145466, 0.4578275, 0.40821073]), std=np.array([0.26862954, 0.26130258, 0.27577711])
    ),
    "not normalised": _processor(mean=np.zeros(3), std=np.ones(3)),
    "config.json's bos": _start_token,
    "another image token": _processor(im_start_token="<slice>", im_end_token="</slice>"),
    "image tokens one late": lambda wrapper: replace_method(
        wrapper.model.processor, "_find_pictures", lambda bounds: bounds + 1
    ),
    "no picture number": _no_number,
}
