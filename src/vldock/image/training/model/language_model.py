"""LLaVA-1.5 of a language model: vision tower and projector are added.

Source: LLaVA 1.2.2.post1, llava/train/train.py, and its scripts for v1.5: CLIP's layer -2, patches without CLS,
mlp2x_gelu, images padded to squares, 2048 positions, no token of its own for images.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.common.matrix import CLIP
from vldock.image.training.config import Config, Model

TOWER, PROJECTOR, SELECT_LAYER, POSITIONS = CLIP, "mlp2x_gelu", -2, 2048
WEIGHTS = "mm_projector.bin"
PREFIX = "mm_projector."


def is_language_model(path: str) -> bool:
    """Return whether a base is a language model, by its config.json.

    Raises InputRefused for one that is neither a LLaVA nor a Llama.
    """
    from transformers import PretrainedConfig

    try:
        values, _ = PretrainedConfig.get_config_dict(path)
    except OSError:  # no config.json: loading says what is missing
        return False
    kind = str(values.get("model_type"))
    if "llava" in kind or "mm_vision_tower" in values:
        return False
    if kind != "llama":
        raise InputRefused(
            f"{path} is a model of type {kind!r}",
            expected="a LLaVA, or a language model of Llama's architecture, such as lmsys/vicuna-7b-v1.5",
        )
    return True


def describe(config: Config) -> str:
    """Return how a language model becomes a LLaVA-1.5, and how its projector begins."""
    model = config.model
    given = f"from {model.projector_weights}" if model.projector_weights else f"fresh (seed {config.train.seed})"
    line = (
        f"base: {model.base} is a language model and becomes a LLaVA-1.5: tower {model.tower or TOWER}, "
        f"projector {model.projector or PROJECTOR}, {given}"
    )
    if model.projector_weights or model.method == "projector":
        return line
    return (
        f"{line}\nnote: LLaVA trains a fresh projector alone first: model.method=projector model.template=plain "
        f"(--tune_mm_mlp_adapter True --version plain); then model.projector_weights=RUN/{WEIGHTS} "
        "(--pretrain_mm_mlp_adapter)"
    )


def require_trainable_projector(model: Model) -> None:
    """Raise UsageError for a fresh projector that would never learn."""
    if not (model.projector_weights or model.train_projector or model.method == "projector"):
        raise UsageError(
            "model.train_projector=false with a fresh projector: the model would never see an image",
            expected="a trained projector",
            hint=f"model.projector_weights=RUN/{WEIGHTS}, or leave model.train_projector out",
        )


def require_same_parts(config: Any, model: Model, path: str, *, tower: str) -> None:
    """Raise InputRefused where settings name another tower or projector than a LLaVA has.

    `tower` is the folder or repository that model.tower means.
    """
    for setting, asked, name in (
        ("model.tower", model.tower, "mm_vision_tower"),
        ("model.projector", model.projector, "mm_projector_type"),
        ("model.select_layer", model.select_layer, "mm_vision_select_layer"),
    ):
        own = getattr(config, name, None)
        if asked and own not in (asked, tower if name == "mm_vision_tower" else asked):
            raise InputRefused(
                f"{setting}={asked}: {path} is a LLaVA, trained with {own}",
                expected=f"{own}, or a language model as base",
                hint=f"leave {setting} out, or model.base=lmsys/vicuna-7b-v1.5",
            )


def build(
    path: str, settings: Model, *, tower: str, seed: int, device: str, dtype: torch.dtype, **options: Any
) -> tuple[Any, Any, Any]:
    """Return (tokenizer, LLaVA, image processor) of the language model at `path`.

    The fresh projector's weights depend on `seed` only.
    """
    from llava.model.language_model.llava_llama import LlavaConfig, LlavaLlamaForCausalLM
    from transformers import AutoTokenizer, PretrainedConfig

    from vldock.image.llava_hooks import loading

    length = settings.max_length or POSITIONS
    tokenizer = AutoTokenizer.from_pretrained(path, use_fast=False, padding_side="right", model_max_length=length)
    values, _ = PretrainedConfig.get_config_dict(path)
    values = {name: value for name, value in values.items() if name not in ("model_type", "architectures")}
    with warnings.catch_warnings():  # Vicuna's sampling settings without do_sample: set right by fix_generation_config
        warnings.filterwarnings("ignore", message="`do_sample` is set to `False`")
        model = LlavaLlamaForCausalLM.from_pretrained(
            path, config=LlavaConfig(**values), low_cpu_mem_usage=True, device_map={"": device}, torch_dtype=dtype,
            attn_implementation="sdpa", **options,
        )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.get_model().initialize_vision_modules(
            SimpleNamespace(
                vision_tower=tower,
                mm_vision_select_layer=settings.select_layer or SELECT_LAYER,
                mm_vision_select_feature="patch",
                mm_projector_type=settings.projector or PROJECTOR,
                mm_patch_merge_type="flat",
                pretrain_mm_mlp_adapter=None,
            )
        )
    model.get_model().mm_projector.to(device=device, dtype=dtype)
    vision = model.get_vision_tower()
    loading.place_vision_tower(model, vision)
    for name, value in {
        "image_aspect_ratio": "pad", "mm_use_im_start_end": False, "mm_use_im_patch_token": False,
        "tokenizer_model_max_length": length, "tokenizer_padding_side": "right",
    }.items():  # fmt: skip
        setattr(model.config, name, value)
    return tokenizer, model, vision.image_processor


def load_projector(model: Any, path: Path) -> None:
    """Load a projector's weights, as LLaVA's pretraining or model.method=projector wrote them.

    Raises InputRefused where the file is absent, is none, or does not fit.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputRefused(
            f"model.projector_weights={path} cannot be read: {str(error).splitlines()[0]}",
            expected=f"a file {WEIGHTS} of LLaVA's pretraining",
            hint="the first stage writes it: model.method=projector model.template=plain out=checkpoints/NAME",
        ) from error
    given = {name.partition(PREFIX)[2]: value for name, value in found.items() if PREFIX in name}
    wanted = model.get_model().mm_projector.state_dict()
    if wrong := sorted(set(given) ^ set(wanted)) or [n for n in wanted if given[n].shape != wanted[n].shape]:
        seen = tuple(given[wrong[0]].shape) if wrong[0] in given else "absent"
        needed = tuple(wanted[wrong[0]].shape) if wrong[0] in wanted else "none of that name"
        raise InputRefused(
            f"model.projector_weights={path}: {PREFIX}{wrong[0]} is {seen}, and the model's is {needed}",
            expected="the projector of this language model, tower and model.projector",
        )
    model.get_model().mm_projector.load_state_dict(given)
