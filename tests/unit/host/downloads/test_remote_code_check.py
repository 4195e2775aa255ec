"""`vldock check weights` of remote code: missing, edited, not the pinned, not for this image."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.download_helpers import put
from support.fake_hub import git_id
from support.tiny_weights import REMOTE_CODE, tower, write_locks

from vldock.common import hub_cache_layout
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.downloads import inventory
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.locked_files import LockedRepo


def look(cache: Path, locked: LockedRepo, *, quick: bool = False) -> tuple[str, str]:
    item = inventory.repo_item(locked, cache, quick=quick)
    return item.state, " ".join(item.notes)


def with_code(cache: Path, **changed: bytes | None) -> Path:
    """A model with remote code, its files changed or (None) left out; its snapshot."""
    files = REMOTE_CODE | {f"{name}.py": content for name, content in changed.items() if content is not None}
    lock = put(cache, "org/code", files)
    snapshot = publish(cache, lock)
    for name in (name for name, content in changed.items() if content is None):
        (snapshot / f"{name}.py").unlink()
    (hub_cache_layout.folder(cache, "org/code") / hub_cache_layout.RECORD).unlink()  # another tool fetched it
    return snapshot


@pytest.mark.parametrize("name", ["modeling", "config", "tokens"])
@pytest.mark.parametrize("quick", [True, False])
def test_a_remote_code_file_that_is_missing_is_partial_by_name(tmp_path: Path, name: str, quick: bool) -> None:
    with_code(tmp_path, **{name: None})

    state, notes = look(tmp_path, LockedRepo("org/code"), quick=quick)

    assert (state, f"{name}.py: is not there, and " in notes) == ("partial", True)


def pinned(blob: str) -> LockedRepo:
    names = [name for name in REMOTE_CODE if name.endswith(".py")]
    return LockedRepo("org/code", code={"blobs": {name: [git_id(REMOTE_CODE[name]), blob] for name in names}})


def test_remote_code_that_is_the_pinned_one_is_complete(tmp_path: Path) -> None:
    with_code(tmp_path)

    assert look(tmp_path, pinned("f" * 40)) == ("complete", "")


def test_remote_code_of_another_blob_than_the_pinned_is_flawed(tmp_path: Path) -> None:
    with_code(tmp_path, config=b"C = 2")

    state, notes = look(tmp_path, pinned("f" * 40))

    assert (state, notes.startswith(f"config.py: blob {git_id(b'C = 2')}, pinned ")) == ("flawed", True)


def test_remote_code_the_image_cannot_run_is_flawed(tmp_path: Path) -> None:
    with_code(tmp_path, config=b"import triton")

    assert look(tmp_path, LockedRepo("org/code"))[0] == "flawed"
    assert "config.py imports triton" in look(tmp_path, LockedRepo("org/code", "f" * 40))[1]


@pytest.mark.parametrize(("quick", "state"), [(True, "flawed"), (False, "corrupt")])
def test_remote_code_edited_in_place_is_told_once(tmp_path: Path, quick: bool, state: str) -> None:
    (with_code(tmp_path) / "config.py").resolve().write_bytes(b"C = 2")

    found = look(tmp_path, LockedRepo("org/code"), quick=quick)

    assert (found[0], found[1].count("config.py")) == (state, 1)


def test_a_tower_without_its_preprocessor_is_partial_by_name(tmp_path: Path) -> None:
    files = tower() | {"config.json": b'{"model_type": "clip_vision_model"}'}
    (publish(tmp_path, put(tmp_path, "org/tower", files)) / "preprocessor_config.json").unlink()

    state, notes = look(tmp_path, LockedRepo("org/tower"))

    assert (state, notes.count("preprocessor_config.json: is not there")) == ("partial", 1)


@pytest.mark.parametrize("folder", ["huggingface", "hub"])
def test_a_hub_cache_itself_is_checked_and_the_folder_others_take_is_told(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with_code(tmp_path / folder)
    locks = write_locks(tmp_path / "locks", endpoint="http://h", tables={}, repos=["org/code"])
    words = ["weights", "org/code", "--locks", str(locks), "--cache"]

    assert invoke(cli.cli, ["check", *words, str(tmp_path / folder)]) == 0
    assert "is itself a hub cache" in capsys.readouterr().err
    assert invoke(cli.cli, ["fetch", *words, str(tmp_path / folder)]) == 2
    assert f"hint: {'--cache ' + str(tmp_path) if folder == 'huggingface' else 'mv '}" in capsys.readouterr().err
