"""The container of `vldock train` mounts its inputs and no more; run.py takes custom models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vldock.common.errors import UsageError
from vldock.host.containers import training
from vldock.image import __main__ as image_commands
from vldock.image.vlmeval_hooks.models import own_models


def spec(tmp_path: Path, *words: str, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "image": "vldock:4.37", "config": None, "data": None, "models": None, "checkpoints": tmp_path / "out",
        "cache": None, "env_file": None, "check": False, "print_config": False, "export": None, "processes": 1,
        "user": "7:7", "gpus": "none", "network": None,
    }  # fmt: skip
    return training.make_spec(words, **{**given, **changes})


def test_checkpoints_go_to_a_folder_of_the_caller_and_data_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    (tmp_path / "data").mkdir()

    made = spec(tmp_path, "train.epochs=3", config=tmp_path / "c.yaml", data=tmp_path / "data")

    assert [mount.option().removeprefix(str(tmp_path)) for mount in made.mounts] == [
        "/c.yaml:/workspace/train.yaml:ro",
        "/data:/workspace/data:ro",
        "/out:/workspace/checkpoints",
    ]
    assert (tmp_path / "out").is_dir()
    assert made.argv == ("python", "-m", "vldock.image", "train", "--config", "/workspace/train.yaml", "train.epochs=3")


def test_the_container_is_told_which_folder_of_runs_stays(tmp_path: Path) -> None:
    made = spec(tmp_path, processes=2)

    assert made.env["VLDOCK_CHECKPOINTS"] == "/workspace/checkpoints" == made.mounts[-1].target


def test_settings_are_printed_in_the_image(tmp_path: Path) -> None:
    made = spec(tmp_path, "train.epochs=3", print_config=True)

    assert made.argv[3:] == ("train", "--print-config", "train.epochs=3")


def test_several_processes_are_started_by_torchrun(tmp_path: Path) -> None:
    made = spec(tmp_path, processes=2, check=True)

    assert made.argv[0] == "torchrun"
    assert "--master_addr=127.0.0.1" in made.argv
    assert made.argv[4:6] == ("--nproc_per_node=2", "-m")
    assert made.argv[-2:] == ("train", "--check")


def test_an_export_may_write_where_models_are(tmp_path: Path) -> None:
    made = spec(tmp_path, "--out", "/workspace/models/llava-x", models=tmp_path, export="checkpoints/run")

    assert not any(mount.read_only for mount in made.mounts)
    assert made.argv[3:] == ("train", "export", "checkpoints/run", "--out", "/workspace/models/llava-x")


def test_a_folder_that_is_not_there_is_refused_before_docker_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        spec(tmp_path, data=tmp_path / "typo")


@pytest.mark.parametrize(
    ("argv", "left"),
    [
        (["--model", "mine={}", "--data", "POPE"], ["--model", "mine", "--data", "POPE"]),
        (
            ["--data", "POPE", "--model", "llava_v1.5_7b", "mine={}"],
            ["--data", "POPE", "--model", "llava_v1.5_7b", "mine"],
        ),
        (["--model=mine={}", "--data", "POPE"], ["--model=mine", "--data", "POPE"]),
    ],
    ids=["one", "among others", "with an equals sign"],
)
def test_a_model_of_ones_own_is_named_on_the_command_line(tmp_path: Path, argv: list[str], left: list[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    environ: dict[str, str] = {}

    taken = own_models.extract_folders([word.format(tmp_path) for word in argv], environ)

    assert taken == left
    assert environ == {"VLDOCK_MODELS": f"mine={tmp_path}"}


def test_arguments_of_other_options_are_left_as_they_are() -> None:
    environ: dict[str, str] = {}

    assert own_models.extract_folders(["--model", "a", "--judge-args", "x=y"], environ) == [
        "--model",
        "a",
        "--judge-args",
        "x=y",
    ]
    assert environ == {}


@pytest.mark.parametrize("word", ["mine=/nowhere", "../x={}"], ids=["no folder", "a name with a path"])
def test_a_model_that_is_none_is_refused(tmp_path: Path, word: str) -> None:
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(UsageError):
        own_models.extract_folders(["--model", word.format(tmp_path)], {})


def test_a_command_of_two_words_is_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        image_commands.main(["train", "export", "--help"])

    assert ended.value.code == 0
    assert "--dtype" in capsys.readouterr().out
