"""`vldock models` and `vldock benchmarks`: every declared name, what it needs, and its files here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.download_helpers import put
from support.fake_hub import COMMIT
from support.tiny_weights import CLIP, LLAVA, model, table, tower, write_locks

from vldock.common import matrix
from vldock.host.cli.catalogue.benchmarks import benchmarks_command
from vldock.host.cli.catalogue.models import describe_model, models_command
from vldock.host.cli.main import invoke
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.locked_files import LockedRepo, WeightsLock

REPOS = [repo for one in matrix.MODELS for repo in (one.repo, *one.needs)]
LOCK = WeightsLock("https://hub", tuple(LockedRepo(repo, COMMIT if repo == LLAVA else None) for repo in REPOS))
MODEL = matrix.MODELS[0]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub cache with a whole model, and without its tower."""
    files = {name: content for name, content in model().items() if not name.endswith((".msgpack", ".bin"))}
    publish(tmp_path, put(tmp_path, LLAVA, files))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], command: Any, *words: str) -> Any:
    assert invoke(command, [*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_seven_models_are_listed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["name"] for one in listed(capsys, models_command)["models"]] == [one.name for one in matrix.MODELS]


def test_all_24_benchmarks_are_listed_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LMUData", raising=False)

    names = [one["name"] for one in listed(capsys, benchmarks_command)["benchmarks"]]

    assert names == [one.name for one in matrix.BENCHMARKS]


def test_the_table_of_models_fits_80_columns_with_whole_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert invoke(models_command, ["--cache", str(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert [line.split()[0] for line in lines[1:8]] == [one.name for one in matrix.MODELS]


def test_what_each_model_needs_is_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(models_command, [])

    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:8]}
    assert rows["llava_v1.5_7b"][:5] == ["14", "16", "30", "SDPA/eager", "image"]
    assert rows["cogvlm-chat"][:5] == ["35", "38", "73", "SDPA/xformers", "remote"]


def test_a_model_in_detail_names_every_repository_and_that_none_is_pinned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    locks = write_locks(tmp_path, endpoint="https://hub", tables={}, repos=REPOS)

    assert invoke(models_command, ["cogvlm-chat", "--locks", str(locks)]) == 0

    text = capsys.readouterr().out
    assert "tokenizer    lmsys/vicuna-7b-v1.5" in text
    assert text.count("not pinned: main of the day it is fetched") == 2
    assert "on a CPU     73.3 GB of memory in float32, by arithmetic" in text
    assert "never with its real weights" in text


def test_pinned_code_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(models_command, ["cogvlm-chat"]) == 0

    assert "code         remote: 3 pinned Python files of its repository" in capsys.readouterr().out


def test_a_model_is_partial_where_its_tower_is_absent(hub: Path) -> None:
    found = describe_model(MODEL, LOCK, hub)

    assert [one["state"] for one in found["repositories"]] == ["complete", "absent"]
    assert (found["state"], found["pinned"]) == ("partial", False)


def test_a_model_is_complete_with_all_its_repositories(hub: Path) -> None:
    publish(hub, put(hub, CLIP, tower()))

    assert describe_model(MODEL, LOCK, hub)["state"] == "complete"


def test_without_a_cache_no_state_is_claimed() -> None:
    assert describe_model(MODEL, LOCK, None)["state"] is None


def test_tables_that_are_there_are_told_with_those_of_the_users_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "POPE.tsv").write_bytes(table("POPE"))
    (tmp_path / "Mine.tsv").write_bytes(table("Mine"))

    found = listed(capsys, benchmarks_command, "--data", str(tmp_path))

    assert {one["name"] for one in found["benchmarks"] if one["state"] == "complete"} == {"POPE"}
    assert found["own"] == ["Mine"]


def test_a_benchmark_in_detail_has_its_file_address_and_editions(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(benchmarks_command, ["BLINK"]) == 0

    text = capsys.readouterr().out
    assert "editions   original, corrected; in use: original" in text
    assert "md5        3b6649b6a662184ea046908e5506260e" in text


@pytest.mark.parametrize(("command", "name"), [(models_command, "cogvlmm"), (benchmarks_command, "PPOE")])
def test_an_unknown_name_is_refused_with_the_right_one(
    command: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(command, [name]) == 2
    assert "did you mean" in capsys.readouterr().err
