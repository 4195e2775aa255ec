"""`vldock fetch weights` of repositories no lock declares, of a part that is wanted whole, and of a LLaVA's tower."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.download_helpers import TABLES, fetch
from support.fake_hub import COMMIT, FakeHub
from support.tiny_weights import CLIP, model, safetensors, torch_archive, tower, write_locks

from vldock.common import hub_cache_layout
from vldock.host.downloads.hub_snapshot import read_record

OTHER = "someone/llava-plants"
OLDER = "e" * 40


@pytest.fixture
def locks(hub: FakeHub, tmp_path: Path) -> Path:
    """A lock that declares the tower alone; the hub has a LLaVA of someone's beside it."""
    named = json.dumps({"model_type": "llava", "mm_vision_tower": CLIP}).encode()
    hub.repos = {CLIP: tower(), OTHER: {**model(), "config.json": named}}
    hub.branches |= {"v1": OLDER, OLDER: OLDER, "main": COMMIT}
    return write_locks(tmp_path / "locks", endpoint=hub.url, tables=TABLES, repos=[CLIP])


def place(cache: Path, repo: str = OTHER) -> Path:
    return hub_cache_layout.folder(cache / "huggingface", repo)


def test_an_undeclared_repository_is_fetched_and_its_commit_is_told_and_recorded(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(locks, "weights", OTHER, "--cache", str(tmp_path)) == 0

    assert f"{OTHER} is not pinned: its main is commit {COMMIT} now" in capsys.readouterr().err
    record = read_record(place(tmp_path))
    assert record
    assert record.revision == COMMIT == (place(tmp_path) / "refs/main").read_text()


def test_the_tower_a_llava_names_comes_along_as_declared(locks: Path, tmp_path: Path) -> None:
    fetch(locks, "weights", OTHER, "--cache", str(tmp_path))

    assert (place(tmp_path, CLIP) / "refs/main").read_text() == COMMIT


@pytest.mark.parametrize(("revision", "commit"), [("v1", OLDER), (OLDER, OLDER)])
def test_a_revision_of_a_repository_is_the_one_that_loads(
    locks: Path, tmp_path: Path, revision: str, commit: str
) -> None:
    assert fetch(locks, "weights", CLIP, "--revision", revision, "--cache", str(tmp_path)) == 0

    folder = place(tmp_path, CLIP)
    assert (folder / "refs/main").read_text() == commit
    assert {path.name for path in (folder / "refs").iterdir()} == {"main", revision} - {OLDER}


def test_a_plan_tells_what_is_pinned(locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(locks, "weights", CLIP, "--revision", OLDER, "--cache", str(tmp_path), "--dry-run", "--json")
    by_commit = json.loads(capsys.readouterr().out)
    fetch(locks, "weights", CLIP, "--cache", str(tmp_path), "--dry-run", "--json")
    by_branch = json.loads(capsys.readouterr().out)

    assert by_commit["repositories"] == [{"repo": CLIP, "commit": OLDER, "pinned": True}]
    assert by_branch["repositories"] == [{"repo": CLIP, "commit": COMMIT, "pinned": False}]


def test_a_repository_a_model_needs_in_part_is_whole_when_it_is_named(
    hub: FakeHub, locks: Path, tmp_path: Path
) -> None:
    lock = json.loads((locks / "weights.json").read_text())
    lock["repositories"][0]["only"] = ["*.json"]
    (locks / "weights.json").write_text(json.dumps(lock))

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path)) == 0

    assert {path.name for path in (place(tmp_path, CLIP) / "snapshots" / COMMIT).iterdir()} == set(tower())


def test_of_two_formats_and_of_training_state_one_is_taken(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    wanted = {"config.json": b"{}", "adapter_model.safetensors": safetensors(), "mm_projector.bin": torch_archive()}
    extra = ("adapter_model.bin", "optimizer.pt", "original/consolidated.00.pth", "onnx/model.onnx")
    hub.repos[OTHER] = {**wanted, **dict.fromkeys(extra, b"x")}

    assert fetch(locks, "weights", OTHER, "--cache", str(tmp_path)) == 0

    files = place(tmp_path) / "snapshots" / COMMIT
    assert {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()} == set(wanted)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("POPE", "vldock fetch data POPE --data FOLDER"),
        ("oxford_flowers102", "vldock fetch datasets oxford_flowers102 --cache FOLDER"),
        ("clip-vit-large-patch14", f"did you mean {CLIP}?"),
        ("nothing-like-it", "ORG/NAME of a repository on the Hub"),
    ],
)
def test_a_name_that_is_no_model_is_told_where_it_belongs(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert fetch(locks, "weights", name, "--cache", str(tmp_path)) == 2

    assert words in capsys.readouterr().err


def test_a_repository_is_found_by_its_last_part_in_any_case(locks: Path, tmp_path: Path) -> None:
    assert fetch(locks, "weights", CLIP.partition("/")[2].upper(), "--cache", str(tmp_path)) == 0
    assert (place(tmp_path, CLIP) / "refs/main").is_file()


def test_a_revision_of_two_names_is_refused(locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(locks, "weights", CLIP, OTHER, "--revision", "v1", "--cache", str(tmp_path)) == 2
    assert "--revision v1 with 2 names" in capsys.readouterr().err
