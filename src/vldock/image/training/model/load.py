"""Model to train: base, precision, adapters, trainable weights. The tower is frozen.

Attention is SDPA: llava/train/train_mem.py asks for flash-attn, which the image does not have; nothing here imports it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.common.matrix import find_remote_code
from vldock.image import cuda_device
from vldock.image.training.config import Config
from vldock.image.training.dataset import resolve
from vldock.image.training.model.precision import DTYPES, choose_precision, match_attention
from vldock.image.weights import model_files as files

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


def require_possible(config: Config, device: str) -> None:
    """Raise an error for a configuration impossible here.

    EnvironmentUnfit for 4 bits without a GPU, InputRefused for a base with remote code, or one that is not here while
    offline.
    """
    if remote := find_remote_code(config.model.base, Path(config.model.base).name):
        raise InputRefused(
            f"model.base={config.model.base}: {remote.name} is no LLaVA, its classes are remote code",
            expected="a checkpoint in LLaVA's own format, such as liuhaotian/llava-v1.5-7b",
        )
    if config.model.method == "qlora" and device == "cpu":
        raise EnvironmentUnfit(
            "model.method=qlora: bitsandbytes computes 4-bit weights on a GPU only, and none is visible",
            expected="an NVIDIA GPU",
            hint="start the container with --gpus all; or on the CPU: model.method=lora",
        )
    base = str(base_path(config))
    files.require_whole(base)
    offline = any(os.environ.get(name, "").upper() in files.TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    if offline and files.folder_of(base) is None:
        raise InputRefused(
            f"model.base={config.model.base} is not in the cache, and this container is offline",
            expected="a folder, or a repository in the cache",
            hint=f"on the host: vldock fetch weights, or model.base=/workspace/models/...; looked for {base}",
        )


def base_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path | str:
    """Return the base's folder in the workspace, else the repository's name.

    It is looked for in models/ and weights/.
    """
    for folder in ("models", "weights"):
        if (found := resolve(config.model.base, environ, folder)).is_dir():
            return found
    return config.model.base


def base_digest(config: Config) -> str | None:
    """Return a digest of all files the base is made of; None before they are downloaded."""
    return files.digest(str(base_path(config)))


def load(config: Config, *, device: str) -> Loaded:
    """Load the base, attach adapters, freeze the rest; trained weights are float32.

    Raises EnvironmentUnfit or InputRefused before anything large is read, see require_possible.
    """
    require_possible(config, device)
    precision = choose_precision(config.train.precision, device)
    if device != "cpu":
        cuda_device.limit_memory(device, config.train.gpu_memory_fraction)
    path, method = str(base_path(config)), config.model.method
    dtype = torch.float32 if method == "full" else DTYPES[precision]
    options = {"quantization_config": quantization_of(dtype)} if method == "qlora" else {}
    tokenizer, model, processor = read(path, device=device, dtype=dtype, **options)
    fix_generation_config(model)
    require_grid(model.config, path)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    model.config.use_cache = False
    if device == "cpu" and precision != "fp32":
        match_attention(model)
    return Loaded(attach_adapters(model, config), tokenizer, processor, device, precision)


def read(path: str, *, device: str, dtype: torch.dtype, **options: Any) -> tuple[Any, Any, Any]:
    """Return (tokenizer, model, image processor) as llava.model.builder loads them.

    Raises InputRefused for a checkpoint that is only a part.

    A tower that was trained is in the checkpoint: LLaVA loads openai's into nothing first, and torch warns of that.
    """
    from llava.mm_utils import get_model_name_from_path
    from llava.model.builder import load_pretrained_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter in the checkpoint to a meta")
        name = get_model_name_from_path(path)
        tokenizer, model, processor, _ = load_pretrained_model(
            path, None, name, device=device, device_map={"": device}, torch_dtype=dtype, **options
        )
    empty = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if processor is None or empty:
        raise InputRefused(
            f"{path} is not whole: " + (f"{empty[0]} has no values" if empty else "it has no image processor"),
            expected="a LLaVA with all its weights; with unfreeze_mm_vision_tower the tower's too",
        )
    return tokenizer, model, processor


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


def fix_generation_config(model: Any) -> list[str]:
    """Reset sampling settings in contradiction to do_sample=False; return their names.

    transformers 4.37 loads vicuna-v1.5's generation_config (temperature 0.9 without do_sample) and refuses to save it:
    a whole training would be lost in save_pretrained.
    """
    settings = model.generation_config
    if settings.do_sample:
        return []
    names = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "typical_p": 1.0}
    mended = [name for name, plain in names.items() if getattr(settings, name, plain) != plain]
    for name in mended:
        setattr(settings, name, names[name])
    return mended


def require_grid(config: Any, path: str) -> None:
    """Raise InputRefused for a LLaVA-NeXT config without its grid of tiles.

    Inference could not use it.
    """
    if getattr(config, "image_aspect_ratio", None) == "anyres" and not getattr(config, "image_grid_pinpoints", None):
        raise InputRefused(
            f"{path}: its config says image_aspect_ratio=anyres and has no image_grid_pinpoints",
            expected="image_grid_pinpoints, as in liuhaotian/llava-v1.6-vicuna-7b: [[336, 672], [672, 336], ...]",
            hint="add it to config.json; LLaVA's own train.py writes such a config, and nothing can load it",
        )
