"""A tiny model with remote code in a private Hub cache: configuration, modelling and tokenizer of these tests' own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

REPO, TOKENS, COMMIT = "somebody/tiny-code", "somebody/tokens", "1" * 40
FILES = {
    "config.json": json.dumps(
        {
            "model_type": "tiny_code",
            "auto_map": {"AutoConfig": "configuration_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyModel"},
        }
    ),
    "configuration_tiny.py": "from transformers import PretrainedConfig\n\n\nclass TinyConfig(PretrainedConfig):\n"
    '    model_type = "tiny_code"\n',
    "modeling_tiny.py": "import torch\nfrom transformers import PreTrainedModel\n"
    "from transformers.utils import is_flash_attn_2_available\n\n"
    "from .configuration_tiny import TinyConfig\nfrom .words import WORD\n\n"
    "if is_flash_attn_2_available():\n    from flash_attn import flash_attn_func\n\n\n"
    "class TinyModel(PreTrainedModel):\n    config_class = TinyConfig\n\n"
    "    def __init__(self, config):\n        super().__init__(config)\n        self.layer = torch.nn.Linear(1, 1)\n\n"
    "    def say(self):\n        return WORD\n",
    "words.py": "from .letters import WORD\n",
    "letters.py": 'WORD = "clean"\n',
}


def write(cache: Path, repo: str = REPO, files: Mapping[str, str] = FILES) -> Path:
    """Write a repository's snapshot and return its folder."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    for name, text in files.items():
        (snapshot / name).write_text(text)
    return snapshot


def write_weights(snapshot: Path) -> None:
    """Write the weights of the model."""
    import torch

    torch.save({"layer.weight": torch.ones(1, 1), "layer.bias": torch.ones(1)}, snapshot / "pytorch_model.bin")
