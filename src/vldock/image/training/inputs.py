"""Inputs of a training that are absent: data, base and GPU, each with the command that brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vldock.common.errors import EnvironmentUnfit
from vldock.image.training.config import Config
from vldock.image.training.model import base as bases
from vldock.image.training.model import language_model
from vldock.image.training.model import load as models
from vldock.image.weights import model_files

CACHE = "~/vldock-cache"


def describe_absent(config: Config, *, data: bool, device: str) -> Iterator[str]:
    """Yield one line for each absent input; `data` is whether the data set is one."""
    if data:
        name = config.data.name
        yield f"missing data: {name} is not in the cache; on the host: vldock fetch datasets {name} --cache {CACHE}"
    for kind, name in find_absent_weights(config):
        yield f"missing {kind}: {name} is not in the cache; on the host: vldock fetch weights {name} --cache {CACHE}"
    if config.model.method == "qlora" and device == "cpu":
        yield (
            "missing GPU: model.method=qlora computes on a GPU only; docker run --gpus all, or here: model.method=lora"
        )


def find_absent_weights(config: Config) -> list[tuple[str, str]]:
    """Return (kind, repository) of a base, or a language model's vision tower, neither a folder nor in the cache."""
    path = str(bases.base_path(config))
    if model_files.folder_of(path) is None:
        return [("base", config.model.base)]
    tower = str(bases.tower_path(config))
    if language_model.is_language_model(path) and model_files.folder_of(tower) is None:
        return [("tower", tower)]
    return []


def absent_error(config: Config, reason: BaseException, *, data: bool, log: Callable[[str], None]) -> EnvironmentUnfit:
    """Log a line for each absent input; return the error to raise, with the reason of the first."""
    lines = list(describe_absent(config, data=data, device=models.device_of()))
    for line in lines:
        log(line)
    kinds = ", ".join(line.split(":")[0].removeprefix("missing ") for line in lines)
    return EnvironmentUnfit(
        f"{kinds} missing, see above. {str(reason).splitlines()[0][:200]}",
        expected="data and base in the mounted cache, or a network",
        hint=f"mount the cache: docker run -v {CACHE}:/workspace/.cache, or vldock train --cache {CACHE}",
    )
