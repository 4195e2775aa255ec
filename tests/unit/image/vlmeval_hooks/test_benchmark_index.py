"""Classes that know a benchmark: from the index if it fits the sources, else by asking all."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vldock.image.process import lazy_imports, source_digest
from vldock.image.vlmeval_hooks.models import benchmark_index


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a package `vlmeval` of three benchmark classes, and its index."""
    folder = tmp_path / "vlmeval" / "dataset"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    text = "from vldock.image.vlmeval_hooks.models import benchmark_index as index\n"
    text += "from vldock.image.process import lazy_imports as lazy\nlazy.defer_imports(__name__, '''\n"
    text += "from .a import A\nfrom .b import B\nfrom .c import C\n''')\nlazy.defer_statements(__name__, '''\n"
    text += "DATASET_CLASSES = [A, B, C]\n''')\n"
    (folder / "__init__.py").write_text(text)
    for name, known in {"A": ["x", "y"], "B": ["z"], "C": ["z", "w"]}.items():
        source = f"class {name}:\n    @classmethod\n    def supported_datasets(cls):\n        return {known}\n"
        (folder / f"{name.lower()}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    benchmark_index.write()
    forget()
    yield folder
    forget()


def forget() -> None:
    """Clear the index's cache, as in a new process."""
    for name in [name for name in sys.modules if name.split(".")[0] == "vlmeval"]:
        del sys.modules[name]
    lazy_imports._packages.pop("vlmeval.dataset", None)
    benchmark_index.classes.cache_clear()
    source_digest.sources_digest.cache_clear()


def classes(benchmark: str) -> tuple[list[str], bool]:
    """Return the names of the classes to ask, and whether an unrelated one was imported."""
    asked = [cls.__name__ for cls in benchmark_index.classes_for(benchmark)]
    return asked, any(f"vlmeval.dataset.{name}" in sys.modules for name in "abc" if name.upper() not in asked)


def test_a_benchmark_brings_only_the_classes_that_know_it(indexed: Path) -> None:
    assert classes("w") == (["C"], False)
    assert classes("z") == (["B", "C"], False)
    assert benchmark_index.list_supported() == ["x", "y", "z", "z", "w"]
    assert benchmark_index.names_of("C") == ["z", "w"]


def test_an_unknown_benchmark_asks_every_class(indexed: Path) -> None:
    assert classes("mine") == (["A", "B", "C"], False)


def test_a_class_added_by_hand_is_asked(indexed: Path) -> None:
    importlib.import_module("vlmeval.dataset").DATASET_CLASSES.append(str)

    assert classes("w")[0] == ["A", "B", "C", "str"]


def test_edited_sources_make_the_index_count_for_nothing(indexed: Path) -> None:
    (indexed / "b.py").write_text((indexed / "b.py").read_text().replace("'z'", "'new'"))

    assert benchmark_index.list_supported() is None
    assert classes("new")[0] == ["A", "B", "C"]


@pytest.mark.parametrize("text", [None, "", "{"], ids=["absent", "empty", "torn"])
def test_an_index_that_cannot_be_read_counts_for_nothing(indexed: Path, text: str | None) -> None:
    (indexed / benchmark_index.FILE).unlink()
    if text is not None:
        (indexed / benchmark_index.FILE).write_text(text)

    assert benchmark_index.classes() is None


def test_the_same_sources_give_the_same_index(indexed: Path) -> None:
    before = (indexed / benchmark_index.FILE).read_bytes()

    benchmark_index.write()

    assert (indexed / benchmark_index.FILE).read_bytes() == before
    assert json.loads(before)["classes"] == [["A", ["x", "y"]], ["B", ["z"]], ["C", ["z", "w"]]]
