"""Offline data sets without the datasets library: mode, cached state, one error per kind of failure."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest
from support.hub_cache_builder import COMMIT, OTHER, add_repo

from vldock.common.errors import VldockError
from vldock.image.offline import errors, mode
from vldock.image.offline.cached import END_OF_STREAM, arrow_name, commit_of, find, find_as_named
from vldock.image.offline.readers import Request

NAME = "nelorth/Oxford-Flowers"


def prepare(root: Path, *, config: str = "default", commit: str = COMMIT, name: str = NAME, shards: int = 0) -> Path:
    folder = root / arrow_name(name) / config / "0.0.0" / commit
    folder.mkdir(parents=True)
    lengths = {"shard_lengths": [1] * shards} if shards else {}
    (folder / "dataset_info.json").write_text(json.dumps({"splits": {"train": lengths}}), encoding="utf-8")
    stem = arrow_name(name).split("___")[-1]
    ends = [f"-{index:05d}-of-{shards:05d}" for index in range(shards)] or [""]
    for end in ends:
        (folder / f"{stem}-train{end}.arrow").write_bytes(b"rows" + END_OF_STREAM)
    return folder


@pytest.mark.parametrize(
    ("environ", "offline", "variable"),
    [
        ({}, False, None),
        ({"HF_DATASETS_OFFLINE": "1"}, True, "HF_DATASETS_OFFLINE"),
        ({"HF_DATASETS_OFFLINE": "0", "HF_HUB_OFFLINE": "1"}, False, "HF_DATASETS_OFFLINE"),
        ({"HF_HUB_OFFLINE": "yes"}, True, "HF_HUB_OFFLINE"),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, False, "HF_HUB_OFFLINE"),
        ({"TRANSFORMERS_OFFLINE": "true"}, True, "TRANSFORMERS_OFFLINE"),
    ],
    ids=lambda value: str(value),
)
def test_the_mode_is_read_as_the_libraries_read_it(
    environ: dict[str, str], offline: bool, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "datasets.config", raising=False)

    seen = mode.current(environ)

    assert (seen.offline, seen.variable) == (offline, variable)


def test_both_layouts_are_found_the_newest_first(tmp_path: Path) -> None:
    prepare(tmp_path, commit=OTHER)
    add_repo(tmp_path, repo=NAME, kind="datasets", train_parquet=b"PAR1")

    held = find(NAME, arrow=tmp_path, hub=tmp_path)

    assert [(one.config, one.version, one.hash, one.splits) for one in held.prepared] == [
        ("default", "0.0.0", OTHER, ("train",))
    ]
    assert [(one.commit, one.files, one.named) for one in held.snapshots] == [(COMMIT, ("train.parquet",), True)]


def test_a_file_cut_short_a_shard_that_is_absent_and_a_folder_left_behind_are_told(tmp_path: Path) -> None:
    folder = prepare(tmp_path, shards=3)
    (folder / "oxford-flowers-train-00001-of-00003.arrow").write_bytes(b"rows")
    (folder / "oxford-flowers-train-00002-of-00003.arrow").unlink()
    folder.with_name(f"{OTHER}.incomplete").mkdir()

    held = find(NAME, arrow=tmp_path, hub=tmp_path)

    assert held.prepared[0].missing == tuple(f"oxford-flowers-train-0000{n}-of-00003.arrow" for n in (1, 2))
    assert [path.name for path in held.unfinished] == [f"{OTHER}.incomplete"]


def test_a_name_that_is_cached_itself_is_not_taken_for_the_repository_it_means(tmp_path: Path) -> None:
    add_repo(tmp_path, repo="nelorth/oxford-flowers", kind="datasets", train_parquet=b"PAR1")
    prepare(tmp_path, name="flowers102")

    found = [
        find_as_named(name, arrow=tmp_path, hub=tmp_path)[0]
        for name in ("flowers102", "oxford_flowers102", "org/absent", "nelorth/oxford-flowers")
    ]

    assert found == ["flowers102", "nelorth/oxford-flowers", "org/absent", "nelorth/oxford-flowers"]


def test_a_shard_no_link_stands_for_is_missed_by_its_siblings(tmp_path: Path) -> None:
    folder = add_repo(tmp_path, repo=NAME, kind="datasets")
    (folder / f"snapshots/{COMMIT}/train-00000-of-00002.parquet").write_bytes(b"PAR1")

    (snapshot,) = find(NAME, arrow=tmp_path, hub=tmp_path).snapshots

    assert snapshot.missing == ("train-00001-of-00002.parquet",)


def test_a_branch_is_followed_and_a_commit_is_itself(tmp_path: Path) -> None:
    add_repo(tmp_path, repo=NAME, kind="datasets")

    assert [commit_of(NAME, word, hub=tmp_path) for word in ("main", OTHER)] == [COMMIT, OTHER]


@pytest.mark.parametrize(
    ("split", "names"),
    [(None, ()), ("train", ("train",)), ("train[:10%]+test[5:]", ("train", "test")), ("all", ())],
)
def test_the_splits_a_slice_names(split: str | None, names: tuple[str, ...]) -> None:
    assert Request(NAME, split=split).splits == names


class GatedRepoError(OSError):
    """Named as huggingface_hub's own."""


def wrapped(cause: BaseException) -> RuntimeError:
    """Return an error caused by another, as datasets' DatasetGenerationError is."""
    error = RuntimeError("An error occurred while generating the dataset")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), errors.NoSpace, "df -h"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), errors.NoSpace, "df -h"),
        (OSError("Not enough disk space. Needed: 3 GB"), errors.NoSpace, "df -h"),
        (PermissionError(errno.EACCES, "Permission denied"), errors.NoPermission, "-v"),
        (OSError(errno.EROFS, "Read-only file system"), errors.NoPermission, "read-only"),
        (GatedRepoError("403"), errors.Gated, "accept the terms"),
        (ConnectionError("Couldn't reach the Hub"), errors.NotCached, "load_dataset"),
        (ValueError("Couldn't find cache for x for config 'y'"), errors.NotCached, "load_dataset"),
        (ValueError("pass trust_remote_code=True"), errors.NeedsCode, "read the script"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("inside", [False, True], ids=["bare", "wrapped"])
def test_each_failure_has_its_own_error_and_cure(
    error: Exception, kind: type[VldockError], said: str, inside: bool, tmp_path: Path
) -> None:
    found = errors.map_error(wrapped(error) if inside else error, name=NAME, folder=tmp_path / "absent", environ={})

    assert type(found) is kind
    assert found.hint
    assert said in found.render()


def test_an_error_of_another_kind_is_not_dressed_up(tmp_path: Path) -> None:
    assert errors.map_error(ZeroDivisionError("x"), name=NAME, folder=tmp_path) is None


def test_a_token_that_may_not_read_is_told_from_none_and_never_shown() -> None:
    without, given = errors.gated_error(NAME, {}), errors.gated_error(NAME, {"HF_TOKEN": "hf_secret"})

    assert "no token was given" in without.message
    assert "HUGGING_FACE_HUB_TOKEN=" in (without.hint or "")
    assert "may not read it" in given.message
    assert "hf_secret" not in given.render()
