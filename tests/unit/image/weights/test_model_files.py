"""Digests of a model: of the files that are used, or of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.image.weights import model_files

REPO = "lmsys/vicuna-7b-v1.5"  # of which evaluation reads the tokenizer only


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights' file of a language model in a Hub cache, beside its tokenizer."""
    folder = tmp_path / "models--lmsys--vicuna-7b-v1.5" / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (folder.parents[1] / "refs").mkdir()
    (folder.parents[1] / "refs/main").write_text("0" * 40)
    (folder / "tokenizer.model").write_text("words")
    (folder / "model.safetensors").write_text("weights")
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(model_files, "used_files", lambda repo: ("tokenizer*",))
    return folder / "model.safetensors"


@pytest.mark.parametrize("every", [True, False], ids=["trained from", "its tokenizer"])
def test_weights_count_in_a_digest_where_they_are_used(weights: Path, every: bool) -> None:
    before = model_files.digest(REPO, every=every)

    weights.unlink()
    weights.write_text("other weights")

    assert before is not None
    assert (model_files.digest(REPO, every=every) != before) is every
