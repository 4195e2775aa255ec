"""`vldock fetch weights` of a model with remote code: read before the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.download_helpers import fetch, web
from support.fake_hub import COMMIT, FakeHub, git_id
from support.tiny_weights import REMOTE_CODE, write_locks

from vldock.host.downloads import code_preview, hub_listing
from vldock.host.downloads.locked_files import LockedRepo

REPO, WEIGHTS = "org/code", "/cdn/org--code/model.safetensors"


@pytest.fixture
def locks(hub: FakeHub, tmp_path: Path) -> Path:
    hub.repos = {REPO: dict(REMOTE_CODE)}
    return write_locks(tmp_path / "locks", endpoint=hub.url, tables={}, repos=[REPO])


def pin(locks: Path, *, revision: str | None = None, blobs: dict[str, list[str]] | None = None) -> None:
    """Pin the repository's code in the lock."""
    lock = json.loads((locks / "weights.json").read_text())
    lock["repositories"][0] |= {"revision": revision, "code": {"blobs": blobs, "one_copy": [], "source": "h"}}
    (locks / "weights.json").write_text(json.dumps(lock))


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_code_the_image_cannot_run_is_refused_before_the_weights(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    hub.repos[REPO]["config.py"] = b"import triton"

    assert fetch(locks, "weights", REPO, "--cache", str(tmp_path / "cache"), *words) == 4

    assert f"{REPO} at {COMMIT} cannot run in the image: config.py imports triton" in capsys.readouterr().err
    assert hub.requests_for(WEIGHTS) == []
    assert not (tmp_path / "cache").exists()


def test_code_that_lacks_a_file_is_refused_before_the_weights(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del hub.repos[REPO]["tokens.py"]

    assert fetch(locks, "weights", REPO, "--cache", str(tmp_path)) == 4

    assert "tokens.py is not there, and auto_map of tokenizer_config.json names it" in capsys.readouterr().err
    assert hub.requests_for(WEIGHTS) == []


def test_code_without_a_pin_is_told_and_fetched(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(locks, "weights", REPO, "--cache", str(tmp_path)) == 0

    assert f"warning: remote code of {REPO} at {COMMIT}: locks/weights.json pins no code" in capsys.readouterr().err


def test_code_of_another_blob_than_the_pinned_is_told(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {name: [git_id(content)] for name, content in REMOTE_CODE.items() if name.endswith(".py")}
    pin(locks, blobs=known | {"config.py": ["f" * 40]})

    assert fetch(locks, "weights", REPO, "--cache", str(tmp_path)) == 0

    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert f"config.py: blob {git_id(b'C = 1')}, pinned {'f' * 40}" in told


def test_the_pinned_commit_is_fetched_without_a_warning(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin(locks, revision=COMMIT)

    assert fetch(locks, "weights", REPO, "--cache", str(tmp_path)) == 0

    assert "warning" not in capsys.readouterr().err


def test_a_second_fetch_reads_the_code_from_the_cache(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    words = ("weights", REPO, "--cache", str(tmp_path))
    fetch(locks, *words)
    hub.requests.clear()

    assert fetch(locks, *words) == 0
    assert [path for _, path, _ in hub.requests if "/api/" not in path] == []


def test_wrong_bytes_of_a_code_file_are_asked_for_again(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    hub.faults[f"/{REPO}/resolve/{COMMIT}/config.py"] = ["wrong bytes"]
    told: list[str] = []

    listed = hub_listing.list_repo(web(hub), LockedRepo(REPO))
    code_preview.require_runnable(web(hub), [listed], tmp_path, pins={}, log=told.append)

    assert [text.partition(": ")[0] for text in told] == ["warning"]
    assert len(hub.requests_for(f"/{REPO}/resolve/{COMMIT}/config.py")) == 2
