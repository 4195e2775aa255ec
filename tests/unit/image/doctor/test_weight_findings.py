"""Findings of the doctor on weights: absent, incomplete, or only the tokenizer needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import tiny_weights

from vldock.common import remote_code
from vldock.common.check import Check
from vldock.common.matrix import MODELS, find_model
from vldock.common.remote_code import RemoteCode
from vldock.image.doctor import workspace

COMMIT = "a" * 40
REPO = "openbmb/MiniCPM-V-2_6"


def add(cache: Path, repo: str, files: Mapping[str, bytes]) -> Path:
    """Add a repository to a Hub cache; return its snapshot."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        path = place / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place / "snapshots" / COMMIT


def finding(cache: Path, model: str) -> Check:
    """Return the doctor's finding on a model's weights."""
    checks = workspace.check_weights({"TRANSFORMERS_CACHE": str(cache)})
    return next(check for check in checks if check.name == f"weights {model}")


def test_whole_weights_are_ok_and_absent_ones_a_warning(tmp_path: Path) -> None:
    add(tmp_path, REPO, tiny_weights.REMOTE_CODE)

    assert finding(tmp_path, "MiniCPM-V-2_6").status == "ok"
    assert "not in the cache (about" in finding(tmp_path, "InternVL2-2B").seen


@pytest.mark.parametrize("name", ["modeling.py", "config.py", "tokens.py"])
def test_a_missing_file_of_remote_code_is_named(tmp_path: Path, name: str) -> None:
    (add(tmp_path, REPO, tiny_weights.REMOTE_CODE) / name).unlink()

    found = finding(tmp_path, "MiniCPM-V-2_6")

    assert found.status == "warn"
    assert f"{name}: is not there, and" in found.seen


def test_a_shard_that_is_missing_or_a_link_into_nowhere_is_named(tmp_path: Path) -> None:
    folder = add(tmp_path, REPO, tiny_weights.model())
    (folder / "model-00002-of-00002.safetensors").unlink()
    (folder / "model-00001-of-00002.safetensors").unlink()
    (folder / "model-00001-of-00002.safetensors").symlink_to("../../blobs/absent")

    seen = finding(tmp_path, "MiniCPM-V-2_6").seen

    assert "model-00001-of-00002.safetensors: is a link into nowhere" in seen
    assert "model-00002-of-00002.safetensors: is not there" in seen


def test_a_repository_of_which_the_tokenizer_only_is_used_needs_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find_model("cogvlm-chat")
    assert model is not None
    add(tmp_path, model.repo, tiny_weights.REMOTE_CODE)
    add(tmp_path, model.needs[0], {"config.json": b"{}", "tokenizer.model": b"vocabulary"})
    assert "weights" in finding(tmp_path, model.name).seen

    monkeypatch.setattr(workspace, "used_files", {model.needs[0]: ("tokenizer*",)}.get)

    assert finding(tmp_path, model.name).status == "ok"


def test_the_image_lock_fetches_the_tokenizer_only_of_cogvlms_second_repository() -> None:
    lock = json.loads(Path("locks/weights.json").read_text(encoding="utf-8"))
    only = {entry["repo"]: entry["only"] for entry in lock["repositories"]}

    partly = [repo for model in MODELS for repo in (model.repo, *model.needs) if only[repo]]
    assert partly == ["lmsys/vicuna-7b-v1.5"]


def test_code_other_than_pinned_is_told_with_what_accepts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_code, "read_pin", lambda _: RemoteCode("b" * 40))
    add(tmp_path, REPO, tiny_weights.REMOTE_CODE)

    found = finding(tmp_path, "MiniCPM-V-2_6")

    assert found.status == "warn"
    assert f"unknown remote code in {REPO}: config.py" in found.seen
    assert f"VLDOCK_ACCEPT_REMOTE_CODE={REPO}@" in str(found.hint)
