"""Loading of a LLaVA checkpoint: class, device, dtype and vision tower.

Called by the lines that patches/patch_llava_builder.py and patch_llava_vision_tower.py put into LLaVA.
`VLDOCK_DTYPE` (float32, float16, bfloat16) overrides the dtype where the caller gave none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.image.process import stats as process_stats

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SPREADING_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
CLIP_TYPES = ("clip", "clip_vision_model")


def strip_snapshot(parts: Sequence[str]) -> list[str]:
    """Return path components with `models--org--name/snapshots/<hash>` as `org/name`."""
    parts = list(parts)
    if len(parts) >= 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return [*parts[:-3], *parts[-3].split("--")[1:]]
    return parts


def read_config(name_or_path: str) -> dict[str, Any] | None:
    """Return the config.json of a checkpoint.

    From a local folder, else from the Hub cache; None if absent.
    """
    local = Path(name_or_path) / "config.json"
    if not local.is_file():
        if Path(name_or_path).exists() or name_or_path.count("/") != 1:
            return None
        # transformers and huggingface_hub may be given different caches; transformers' is the one that is read
        from transformers.utils.hub import TRANSFORMERS_CACHE, try_to_load_from_cache

        cached = try_to_load_from_cache(name_or_path, "config.json", cache_dir=TRANSFORMERS_CACHE)
        if not isinstance(cached, str):
            return None
        local = Path(cached)
    config: dict[str, Any] = json.loads(local.read_text(encoding="utf-8"))
    return config


def branch_name(model_path: str, model_name: str) -> str:
    """Return the model name for builder.py's choice of a class.

    It follows the checkpoint's config if present.
    builder.py searches the name for `llava`, `mpt`, `mistral` and `lora`, so that a folder `run-3` is no LLaVA and
    `attempt` is an MPT. Raises InputRefused for a checkpoint in transformers' native LLaVA format.
    """
    config = read_config(model_path)
    kind = str((config or {}).get("model_type", ""))
    if config is None or not kind.startswith("llava"):
        return model_name
    if "LlavaForConditionalGeneration" in config.get("architectures", ()):
        raise InputRefused(
            f"{model_path} is in transformers' native format (LlavaForConditionalGeneration)",
            expected="a checkpoint in LLaVA's own format, such as liuhaotian/llava-v1.5-7b",
            hint="load it with transformers.LlavaForConditionalGeneration",
        )
    family = next((name for name in ("mpt", "mistral") if name in kind), "llama")
    folder = Path(model_path)
    adapter = (folder / "adapter_config.json").is_file() if folder.is_dir() else "lora" in model_name.lower()
    return f"llava-{family}-lora" if adapter else f"llava-{family}"


def choose_placement(device: str, device_map: Any) -> tuple[str, Any]:
    """Return (device, device_map) for builder.py: one place, the CPU without a GPU."""
    if isinstance(device_map, str) and device_map not in SPREADING_MAPS:
        device, device_map = device_map, {"": device_map}
    elif isinstance(device_map, dict) and set(device_map) == {""}:
        device = str(device_map[""])
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        device, device_map = "cpu", {"": "cpu"}
    return device, device_map


def choose_dtype(requested: Any, device: str, *, half: str = "float16") -> torch.dtype:
    """Return the requested dtype, else VLDOCK_DTYPE, else `half`; float32 on the CPU.

    The CPU has no convolution in half precision.
    """
    if isinstance(requested, torch.dtype):
        return requested
    name = str(requested or os.environ.get("VLDOCK_DTYPE") or ("float32" if str(device) == "cpu" else half))
    if name not in DTYPES:
        raise UsageError(f"dtype {name!r} is not known", expected=", ".join(DTYPES), hint="set VLDOCK_DTYPE=float32")
    return DTYPES[name]


def supports_sdpa(model_name: str) -> bool:
    """Return whether the class for this name accepts attn_implementation="sdpa" (MPT does not)."""
    return "llava" in model_name.lower() and "mpt" not in model_name.lower()


def place_vision_tower(model: Any, vision_tower: Any) -> None:
    """Move the vision tower to the projector's device and the model's dtype.

    It is loaded last.
    """
    projector = next(model.get_model().mm_projector.parameters())
    vision_tower.to(device=projector.device, dtype=model.dtype)
    if projector.device.type == "cpu":
        process_stats.keep_freed_memory()


def require_clip(vision_tower: str) -> None:
    """Raise InputRefused unless the vision tower is a CLIP model.

    The tower's config decides.
    """
    from transformers import PretrainedConfig

    config, _ = PretrainedConfig.get_config_dict(vision_tower)
    kind = config.get("model_type")
    if kind not in CLIP_TYPES:
        raise InputRefused(
            f"vision tower {vision_tower} is of type {kind!r}",
            expected=f"a CLIP model (model_type {' or '.join(CLIP_TYPES)})",
            hint="set mm_vision_tower in the checkpoint's config.json to a CLIP model",
        )
