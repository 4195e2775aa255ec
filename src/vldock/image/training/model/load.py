"""Model to train: base, precision, adapters, trainable weights. The tower is frozen.

Attention is SDPA: llava/train/train_mem.py asks for flash-attn, which the image does not have; nothing here imports it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from vldock.image import cuda_device
from vldock.image.training.config import Config
from vldock.image.training.model import base
from vldock.image.training.model.precision import DTYPES, choose_precision, match_attention

LORA_TARGETS = r"model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
PROJECTOR = re.compile(r"(^|\.)(mm_projector\.|image_newline$)")
ADAPTED = ("lora", "qlora")


@dataclass
class Loaded:
    """Model ready to train, with tokenizer and processor.

    `precision` is the one chosen for the device.
    """

    model: Any
    tokenizer: Any
    processor: Any
    device: str
    precision: str

    @property
    def inner(self) -> Any:
        """The LLaVA itself, without the adapters' wrapper."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def autocast(self) -> Any:
        """Return the autocast context of this model outside the trainer."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=DTYPES[self.precision])

    @property
    def anyres(self) -> bool:
        """True if images are cut into tiles (LLaVA-NeXT)."""
        return getattr(self.inner.config, "image_aspect_ratio", None) == "anyres"


def device_of(environ: Mapping[str, str] = os.environ) -> str:
    """Return this process's device: torchrun's GPU, the first GPU, or the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(environ.get('LOCAL_RANK', '0'))}"


def load(config: Config, *, device: str) -> Loaded:
    """Load the base, attach adapters, freeze the rest; trained weights are float32.

    Raises EnvironmentUnfit or InputRefused before anything large is read, see base.require_possible.
    """
    base.require_possible(config, device)
    precision = choose_precision(config.train.precision, device)
    if device != "cpu":
        cuda_device.limit_memory(device, config.train.gpu_memory_fraction)
    method = config.model.method
    dtype = torch.float32 if method == "full" else DTYPES[precision]
    options = {"quantization_config": quantization_of(dtype)} if method == "qlora" else {}
    tokenizer, model, processor = base.read_base(config, device=device, dtype=dtype, **options)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    model.config.use_cache = False
    if device == "cpu" and precision != "fp32":
        match_attention(model)
    return Loaded(attach_adapters(model, config), tokenizer, processor, device, precision)


def quantization_of(dtype: torch.dtype) -> Any:
    """Return QLoRA's quantization config: nf4, nested.

    Projector, tower and head are not quantized. Source: Dettmers et al. 2023.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["mm_projector", "vision_tower", "lm_head"],
    )


def attach_adapters(model: Any, config: Config) -> Any:
    """Attach adapters where the method has them, and set requires_grad.

    Only trained weights require a gradient.
    """
    method = config.model.method
    model.requires_grad_(False)
    if method in ADAPTED:
        from peft import LoraConfig, get_peft_model

        options = config.model
        model = get_peft_model(
            model,
            LoraConfig(
                r=options.lora_r,
                lora_alpha=options.lora_alpha,
                lora_dropout=options.lora_dropout,
                target_modules=LORA_TARGETS,
                task_type="CAUSAL_LM",
            ),
        )
    for name, parameter in model.named_parameters():
        if is_trainable(name, config):
            parameter.requires_grad_(True)
            parameter.data = parameter.data.float()
    return model


def is_trainable(name: str, config: Config) -> bool:
    """Return whether a parameter of this name trains."""
    method = config.model.method
    if "vision_tower" in name:
        return False
    if PROJECTOR.search(name):
        return method == "projector" or config.model.train_projector
    return method == "full" or (method in ADAPTED and "lora_" in name)


def trainable_parameters(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yield (name, parameter) of trained weights, named as in the LLaVA itself."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name.removeprefix("base_model.model."), parameter
