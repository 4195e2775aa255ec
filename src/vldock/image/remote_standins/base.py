"""What a stand-in with remote code is, and the files its snapshots share."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.matrix import find_model

REMOTE_CODE = Path(__file__).parent / "remote_code"
REFUSAL = "unsure"
# how tokenizer_config.json lists an added token, beside its text
TOKEN = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}


@dataclass(frozen=True, slots=True)
class RemoteStandin:
    """One stand-in: VLMEvalKit's name of the model, the seed of its fixed weights."""

    name: str
    seed: int

    @property
    def repository(self) -> str:
        """The model's repository, as declared; LookupError for a model that is not."""
        if (model := find_model(self.name)) is None:
            raise LookupError(self.name)
        return model.repo


def copy_code(folder: Path, names: tuple[str, ...]) -> None:
    """Copy files of remote_code/ into a snapshot's folder."""
    for name in names:
        shutil.copyfile(REMOTE_CODE / name, folder / name)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file as the Hub's repositories have it."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def write_weights(model: Any, folder: Path) -> None:
    """Write model.safetensors in bfloat16."""
    import torch
    from safetensors.torch import save_file

    state = {name: value.detach().to(torch.bfloat16).contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def round_to_bfloat16(values: Any) -> Any:
    """Return float32 values rounded as storing them will."""
    import torch

    return values.to(torch.bfloat16).float()


def round_weights(model: Any) -> None:
    """Round every parameter as storing it will."""
    import torch

    with torch.no_grad():
        for value in model.parameters():
            value.copy_(round_to_bfloat16(value))
