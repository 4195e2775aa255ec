"""Export of a checkpoint: base and adapters merged, for run.py and predict.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.image.training.config import Config
from vldock.image.training.config import load as read_config
from vldock.image.training.model import checkpoint
from vldock.image.training.model.base import base_digest, read, read_base, require_grid
from vldock.image.training.model.load import ADAPTED, Loaded, attach_adapters
from vldock.image.training.model.precision import DTYPES

ORIGIN = "training.json"
CONFIG = "config.yaml"


def find_checkpoint(run: Path) -> tuple[Path, Path]:
    """Return (run, checkpoint) of a run's folder or one of its checkpoints.

    Of a run it is the best checkpoint. Raises UsageError for another folder.
    """
    for folder, point in ((run, run / "best"), (run, run / "last"), (run.parent, run)):
        if (folder / CONFIG).is_file() and point.is_dir() and (point / "trainer_state.json").is_file():
            return folder, point.resolve()
    raise UsageError(
        f"{run} is no run of train, and no checkpoint of one",
        expected="a folder with config.yaml and checkpoint-N/",
        hint="python -m vldock.image train export RUN --out FOLDER",
    )


def export(run: Path, out: Path, *, dtype: str = "fp16") -> Path:
    """Export the merged model of a run or checkpoint; return its folder.

    The model is written, then loaded.
    Of a run the best checkpoint is exported.

    Raises UsageError where `out` is there already, InputRefused where the result cannot be loaded.
    """
    folder, point = find_checkpoint(run)
    config = read_config(folder / CONFIG)
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty", expected="a new folder", hint="name another, or remove it")
    loaded = merge(config, point)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write(loaded, partial, DTYPES[dtype])
    origin = {
        "base": config.model.base,
        "base_sha256": base_digest(config),
        "checkpoint": point.name,
        "config": config.as_dict(),
    }
    (partial / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    require_loads(partial)
    if out.exists():
        out.rmdir()
    partial.replace(out)
    return out


def merge(config: Config, point: Path) -> Loaded:
    """Return base and checkpoint as one LLaVA, adapters merged.

    float32, on the CPU.
    """
    tokenizer, model, processor = read_base(config, device="cpu", dtype=torch.float32)
    wrapped = attach_adapters(model, config)
    checkpoint.load(wrapped, point, config)
    inner = wrapped.merge_and_unload() if config.model.method in ADAPTED else wrapped
    return Loaded(inner, tokenizer, processor, "cpu", "fp32")


def write(loaded: Loaded, folder: Path, dtype: torch.dtype) -> None:
    """Write a merged model in `dtype`, with the config inference needs."""
    folder.mkdir(parents=True)
    config = loaded.inner.config
    config.tune_mm_mlp_adapter = False
    checkpoint.write_whole(loaded.inner, folder, dtype=dtype)
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["torch_dtype"] = str(dtype).removeprefix("torch.")
    values.pop("_name_or_path", None)  # a path of this machine
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    loaded.tokenizer.save_pretrained(folder)


def require_loads(folder: Path) -> Loaded:
    """Load a folder as run.py does and return the model.

    Raises InputRefused where that fails or no image can be processed.
    """
    try:
        require_usable_config(folder)
        tokenizer, model, processor = read(str(folder), device="cpu", dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise InputRefused(f"{folder} was written and cannot be loaded: {error}", expected="a LLaVA") from error
    return Loaded(model, tokenizer, processor, "cpu", "fp32")


def require_usable_config(folder: Path) -> None:
    """Raise InputRefused for a config inference cannot use."""
    from transformers import PretrainedConfig

    values, _ = PretrainedConfig.get_config_dict(str(folder))
    require_grid(PretrainedConfig.from_dict(values), str(folder))
