"""Snapshots in a Hugging Face cache, read from its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldock.image.weights.hub_snapshots import snapshot

REPO = "liuhaotian/llava-v1.5-7b"
COMMIT = "4481d270cc22fd5c4d1bb5df129622006ccd9234"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The snapshot folder of REPO, with a config and a reference to it."""
    folder = tmp_path / "models--liuhaotian--llava-v1.5-7b"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    snapshots = folder / "snapshots" / COMMIT
    snapshots.mkdir(parents=True)
    (snapshots / "config.json").write_text("{}", encoding="utf-8")
    return snapshots


def environ(files: Path) -> dict[str, str]:
    return {"TRANSFORMERS_CACHE": str(files.parents[2])}


def test_a_repository_that_is_not_there_has_no_revision(tmp_path: Path) -> None:
    seen = snapshot(REPO, {"TRANSFORMERS_CACHE": str(tmp_path)})

    assert (seen.revision, seen.whole) == (None, False)


def test_a_whole_snapshot_has_its_commit(files: Path) -> None:
    (files / "pytorch_model.bin").touch()

    assert snapshot(REPO, environ(files)).whole
    assert snapshot(REPO, environ(files)).revision == COMMIT


def test_a_shard_that_is_missing_is_named(files: Path) -> None:
    index = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}
    (files / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    (files / "pytorch_model-00001-of-00002.bin").touch()

    assert snapshot(REPO, environ(files)).missing == ("pytorch_model-00002-of-00002.bin",)


def test_a_link_into_nowhere_is_missing(files: Path) -> None:
    """A link without its blob, as an interrupted download leaves it."""
    (files / "model.safetensors").symlink_to("../../blobs/absent")

    assert snapshot(REPO, environ(files)).missing == ("weights",)
