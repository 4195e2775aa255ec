"""The locks of this checkout: datasets.json and weights.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.paths import ROOT
from support.tiny_weights import LLAVA

from vldock.common import matrix
from vldock.common.hub_cache_layout import COMMIT
from vldock.host.downloads import locked_files, names

LOCKS = ROOT / "locks"
PROJECTOR = "liuhaotian/llava-v1.5-mlp2x-336px-pretrain-vicuna-{}-v1.5"
TRAINED = (
    *("liuhaotian/llava-v1.6-vicuna-7b", "liuhaotian/llava-v1.6-vicuna-13b", "liuhaotian/llava-v1.6-mistral-7b"),
    *("lmsys/vicuna-7b-v1.5", "lmsys/vicuna-13b-v1.5", PROJECTOR.format("7b"), PROJECTOR.format("13b")),
)


def test_the_locked_md5_are_the_matrix_ones() -> None:
    locked = locked_files.load_datasets(LOCKS)

    assert [(item.name, item.md5) for item in locked] == [(item.name, item.md5) for item in matrix.BENCHMARKS]
    assert all(item.url.startswith("https://") and item.url.endswith(".tsv") for item in locked)


def test_every_repository_of_a_model_is_locked() -> None:
    lock = locked_files.load_weights(LOCKS)

    wanted = {repo for item in matrix.MODELS for repo in (item.repo, *item.needs)}
    assert wanted <= {item.repo for item in lock.repositories}
    assert lock.find(LLAVA).revision == "4481d270cc22fd5c4d1bb5df129622006ccd9234"


@pytest.mark.parametrize("name", TRAINED)
def test_every_base_and_projector_that_training_names_is_locked_whole(name: str) -> None:
    (found,) = names.choose_repos([name], locked_files.load_weights(LOCKS))

    assert (found.repo, found.only, bool(found.source)) == (name, None, True)


def test_remote_code_is_pinned_by_commit_and_by_blobs_with_their_sources() -> None:
    pinned = [item for item in locked_files.load_weights(LOCKS).repositories if item.code]

    assert [item.repo.partition("/")[2] for item in pinned] == [
        "InternVL2-2B",
        "InternVL2-8B",
        "MiniCPM-V-2_6",
        "cogvlm-chat-hf",
    ]
    for item in pinned:
        blobs = item.pin.blobs or {}
        assert COMMIT.fullmatch(item.revision or "")
        assert all(COMMIT.fullmatch(blob) for known in blobs.values() for blob in known)
        assert set((item.code or {})["one_copy"]) <= blobs.keys()
        assert (item.source or "").startswith("https://")
        assert item.pin.source


def test_a_commit_that_no_source_states_is_null_and_told() -> None:
    unknown = [item for item in locked_files.load_weights(LOCKS).repositories if item.revision is None]

    assert {item.source for item in unknown} == {"not stated in public sources found"}


def test_a_record_keeps_the_pinned_code_and_its_source(tmp_path: Path) -> None:
    entry = {"repo": "org/code", "revision": None, "only": None, "files": None}
    code = {"blobs": {"a.py": ["1" * 40]}, "one_copy": [], "source": "https://h/x"}
    lock = {"schema": 1, "endpoint": "https://h", "repositories": [entry | {"source": "not stated", "code": code}]}
    (tmp_path / "weights.json").write_text(json.dumps(lock))

    locked_files.record_weights(tmp_path, [locked_files.LockedRepo("org/code", "0" * 40, None, ())])

    found = locked_files.load_weights(tmp_path).find("org/code")
    assert (found.revision, found.code, found.source) == ("0" * 40, code, "the Hub's main, fetched with --record")
