"""Memory a session makes room for: a model's weights, and what its largest prompt takes beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.image.session import model_memory
from vldock.image.weights import model_files

WEIGHTS = 1000


@pytest.fixture(autouse=True)
def _downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every repository is a folder of one shard in the loaded dtype, without a tower."""
    (tmp_path / "model.safetensors").write_bytes(bytes(WEIGHTS))
    monkeypatch.setattr(model_files, "folder_of", lambda repo: tmp_path)
    monkeypatch.setattr(model_files, "tower_of", lambda repo: None)
    monkeypatch.setattr(model_memory, "_growth", lambda folder: 1.0)
    monkeypatch.delenv("VLDOCK_STANDIN", raising=False)


def test_a_declared_models_largest_prompt_is_counted() -> None:
    assert model_memory.needed_bytes("OpenGVLab/InternVL2-8B") == WEIGHTS + 15_000_000_000


def test_an_undeclared_model_needs_a_share_of_its_weights_more() -> None:
    assert model_memory.needed_bytes("mine/model") == WEIGHTS + 150


def test_a_stand_in_needs_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_STANDIN", "1")

    assert model_memory.needed_bytes("OpenGVLab/InternVL2-8B") == WEIGHTS + 150
