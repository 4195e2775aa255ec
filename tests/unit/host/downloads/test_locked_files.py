"""The locks of this checkout: datasets.json and weights.json."""

from __future__ import annotations

from support.paths import ROOT
from support.tiny_weights import LLAVA

from vldock.common import matrix
from vldock.host.downloads import locked_files

LOCKS = ROOT / "locks"


def test_the_locked_md5_are_the_matrix_ones() -> None:
    locked = locked_files.load_datasets(LOCKS)

    assert [(item.name, item.md5) for item in locked] == [(item.name, item.md5) for item in matrix.BENCHMARKS]
    assert all(item.url.startswith("https://") and item.url.endswith(".tsv") for item in locked)


def test_every_repository_of_a_model_is_locked() -> None:
    lock = locked_files.load_weights(LOCKS)

    wanted = {repo for item in matrix.MODELS for repo in (item.repo, *item.needs)}
    assert {item.repo for item in lock.repositories} == wanted
    assert lock.find(LLAVA).revision == "4481d270cc22fd5c4d1bb5df129622006ccd9234"
