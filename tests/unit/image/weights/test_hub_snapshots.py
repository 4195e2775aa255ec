"""Snapshots in a Hugging Face cache, read from its files."""

from __future__ import annotations

from pathlib import Path

from vldock.image.weights.hub_snapshots import snapshot

REPO = "liuhaotian/llava-v1.5-7b"
COMMIT = "4481d270cc22fd5c4d1bb5df129622006ccd9234"


def test_a_repository_that_is_not_there_has_no_revision(tmp_path: Path) -> None:
    seen = snapshot(REPO, {"TRANSFORMERS_CACHE": str(tmp_path)})

    assert (seen.revision, seen.folder) == (None, None)


def test_a_snapshot_has_its_commit_and_folder(tmp_path: Path) -> None:
    place = tmp_path / "models--liuhaotian--llava-v1.5-7b"
    folder = place / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT, encoding="utf-8")

    seen = snapshot(REPO, {"TRANSFORMERS_CACHE": str(tmp_path)})

    assert (seen.revision, seen.folder) == (COMMIT, folder)
