"""Remote code of a model folder: needed, missing, unrunnable, different from its pin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldock.common import hashing, remote_code
from vldock.common.remote_code import RemoteCode

MODELLING = "from .config import C\ndef late():\n    if True:\n        from . import inner, other\n"


def write(folder: Path, **files: object) -> Path:
    """Write files; `a__json` is a.json, `a` is a.py."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (name.replace("__", ".") if "__" in name else f"{name}.py")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_relative_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    auto_map = {"auto_map": {"AutoModel": "modelling.M"}}
    write(tmp_path, config__json=auto_map, modelling=MODELLING, config="", inner="from .deep import *", unused="")

    found = remote_code.find_code(tmp_path)

    assert found.files == ("config.py", "inner.py", "modelling.py")
    assert found.missing == {"deep.py": "inner.py", "other.py": "modelling.py"}


@pytest.mark.parametrize("config", remote_code.CONFIGS)
@pytest.mark.parametrize("reference", ["own.A", ["own.A", None], [None, "own.B"]])
def test_every_configuration_names_code(tmp_path: Path, config: str, reference: object) -> None:
    (tmp_path / config).write_text(json.dumps({"auto_map": {"AutoTokenizer": reference}}))

    assert remote_code.find_code(tmp_path).missing == {"own.py": f"auto_map of {config}"}


def test_code_of_another_repository_is_elsewhere_and_its_own_is_not(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("0" * 40)
    write(snapshot, config__json={"auto_map": {"A": "org/name--own.A", "B": "org/other--theirs.B"}}, own="")

    found = remote_code.find_code(snapshot)

    assert (found.files, found.elsewhere) == (("own.py",), ("org/other--theirs.B",))


@pytest.mark.parametrize("config", ["[]", "no json", '{"auto_map": null}', '{"auto_map": {"A": null, "B": "word"}}'])
def test_a_configuration_without_entries_needs_no_code(tmp_path: Path, config: str) -> None:
    assert remote_code.find_code(write(tmp_path, config__json=config)) == remote_code.CodeFiles()


def test_a_file_that_is_no_python_is_unreadable(tmp_path: Path) -> None:
    write(tmp_path, config__json={"auto_map": {"A": "page.A"}}, page="<html>")

    assert list(remote_code.find_code(tmp_path).unreadable) == ["page.py"]


@pytest.mark.filterwarnings("error")
def test_a_text_python_warns_of_is_readable(tmp_path: Path) -> None:
    write(tmp_path, config__json={"auto_map": {"A": "a.A"}}, a="pattern = '\\d'")

    assert remote_code.find_code(tmp_path).unreadable == {}


@pytest.mark.parametrize("line", ["import triton", "import triton.language as tl", "from triton import jit"])
def test_a_triton_kernel_anywhere_in_the_code_cannot_run(tmp_path: Path, line: str) -> None:
    write(
        tmp_path, config__json={"auto_map": {"A": "a.A"}}, a="from .util import f", util=f"try:\n    {line}\nfinally: 0"
    )

    (told,) = remote_code.find_unrunnable(tmp_path)

    assert told.startswith("util.py imports triton (line 2): ")
    assert "compiler" in told


def test_a_file_nothing_imports_may_import_triton(tmp_path: Path) -> None:
    write(tmp_path, config__json={"auto_map": {"A": "a.A"}}, a="", export="import triton")

    assert remote_code.find_unrunnable(tmp_path) == []


def test_a_pinned_blob_that_differs_is_told_with_both(tmp_path: Path) -> None:
    write(tmp_path, config__json={"auto_map": {"A": "a.A"}}, a="from .b import x", b="x = 1")
    blob = hashing.git_blob_file(tmp_path / "a.py")

    told = remote_code.describe_difference(
        RemoteCode("0" * 40, {"a.py": ("2" * 40, blob), "b.py": ("1" * 40,)}), tmp_path
    )

    assert told == [f"b.py: blob {hashing.git_blob_file(tmp_path / 'b.py')}, pinned {'1' * 40}"]


def test_a_file_beside_the_pinned_ones_is_told(tmp_path: Path) -> None:
    write(tmp_path, config__json={"auto_map": {"A": ["a.A", "org/other--theirs.B"]}}, a="")

    told = remote_code.describe_difference(RemoteCode("0" * 40, {"b.py": ("1" * 40,)}), tmp_path)

    assert [text.partition(":")[0] for text in told] == ["a.py", "org/other--theirs.B"]


def cached(cache: Path, commit: str = "0" * 40, *, content: str = "x = 1") -> Path:
    """A snapshot whose a.py is a link to a blob of its name."""
    snapshot = write(cache / "snapshots" / commit, config__json={"auto_map": {"A": "a.A"}})
    plain = write(cache / "blobs", a=content) / "a.py"
    (snapshot / "a.py").symlink_to(plain.rename(plain.with_name(hashing.git_blob_file(plain))))
    return snapshot


@pytest.mark.parametrize("blobs", [None, {"b.py": ("1" * 40,)}, {"a.py": ("1" * 40,)}])
def test_an_unchanged_blob_of_the_pinned_commit_is_the_pinned_code(tmp_path: Path, blobs: dict[str, str]) -> None:
    assert remote_code.describe_difference(RemoteCode("0" * 40, blobs), cached(tmp_path)) == []
    assert remote_code.describe_difference(RemoteCode("1" * 40, blobs), cached(tmp_path, "2" * 40)) != []


@pytest.mark.parametrize("pin", [RemoteCode(), RemoteCode("0" * 40), RemoteCode("0" * 40, {"a.py": ("1" * 40,)})])
def test_a_blob_edited_in_place_is_told_with_and_without_a_pin(tmp_path: Path, pin: RemoteCode) -> None:
    snapshot = cached(tmp_path)
    assert remote_code.describe_difference(pin, snapshot) == []

    (snapshot / "a.py").resolve().write_text("x = 2")

    assert [text.partition(":")[0] for text in remote_code.describe_difference(pin, snapshot)] == ["a.py"]


def test_a_folder_without_remote_code_differs_from_no_pin(tmp_path: Path) -> None:
    assert (
        remote_code.describe_difference(RemoteCode("0" * 40, {"a.py": ("1" * 40,)}), write(tmp_path, unused="")) == []
    )


def test_a_pin_is_read_from_the_lock(tmp_path: Path) -> None:
    code = {"blobs": {"a.py": ["1" * 40]}, "source": "https://h/x"}
    entry = {"repo": "org/name", "revision": "0" * 40, "code": code}
    write(tmp_path, lock__json={"repositories": [entry, {"repo": "org/plain", "revision": None}]})
    lock = tmp_path / "lock.json"

    assert remote_code.read_pin("org/name", lock) == RemoteCode("0" * 40, {"a.py": ("1" * 40,)}, "https://h/x")
    assert remote_code.read_pin("org/plain", lock) == remote_code.read_pin("org/absent", lock) == RemoteCode()
    assert remote_code.read_pin("org/name", tmp_path / "absent.json") == RemoteCode()
