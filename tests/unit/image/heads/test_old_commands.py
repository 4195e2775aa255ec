"""Option names of earlier scripts: each is a setting of today, documented, and an unknown one is told the nearest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.paths import ROOT

from vldock.common.errors import UsageError
from vldock.image.heads import config
from vldock.image.heads.old_commands import BATCH, NOTHING, OPTIONS, main, make_parser, translate

PAGE = (ROOT / "docs/use/features.md").read_text(encoding="utf-8")
DOCUMENTED = [  # the document's command
    "--mode",
    "cache",
    "--dataset_paths",
    "A",
    "B",
    "--batch_size",
    "8",
    "--num_workers",
    "8",
    "--image_resize_height",
    "360",
    "--image_resize_width",
    "640",
    "--cache_loader_only",
    "--cache_root",
]
SETTINGS = sorted({*BATCH.values(), "data.path", "cache.resize", "cache.pt_folder", *(one.setting for one in OPTIONS)})


def settings(words: list[str]) -> config.Config:
    """Return the configuration the translated words give."""
    assert set(words[1 if words[0] == "--prepare" else 2 :: 2]) == {"--set"}
    return config.read(None, words[2 if words[0] == "--prepare" else 3 :: 2])


@pytest.mark.parametrize("objective", ["flow-matching", "regression"])
def test_the_document_s_cache_command_builds_image_and_instruction_features(objective: str, tmp_path: Path) -> None:
    mode, words = translate([*DOCUMENTED, str(tmp_path)], objective=objective)

    found = settings(words)
    assert (mode, words[0]) == ("cache", "--prepare")
    assert (found.data.path, found.cache.folder, found.cache.features) == (("A", "B"), str(tmp_path), "prompt")
    assert (found.cache.batch_size, found.cache.num_workers, found.cache.resize) == (8, 8, "360x640")


@pytest.mark.parametrize("objective", ["flow-matching", "regression"])
def test_a_training_gets_its_own_settings(objective: str) -> None:
    said = "--dataset_paths A --batch_size 4 --epochs 3 --learning_rate 1e-3 --output_dir O --seed 5"
    said += " --set cache.tokens=mean"

    mode, words = translate(said.split(), objective=objective)

    found = settings(words)
    assert (mode, words[:2]) == ("train", ["--objective", objective])
    assert (found.training.batch_size, found.training.epochs, found.training.lr, found.training.seed) == (4, 3, 1e-3, 5)
    assert (found.out, found.cache.tokens, found.cache.batch_size) == ("O", "mean", config.Cache().batch_size)


def test_a_cache_of_pt_files_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "abc12345").mkdir()
    (tmp_path / "abc12345/data_collection_20251108_054442_vlm0.pt").touch()

    _, words = translate(["--dataset_paths", "A", "--cache_root", str(tmp_path)], objective="regression")

    found = settings(words)
    assert (found.cache.pt_folder, found.cache.folder) == (str(tmp_path), "")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--mode cache", "--dataset_paths is missing", "total_train.sh"),
        ("--dataset_paths A --image_resize_height 3", "one of --image_resize_height", None),
        ("--dataset_paths A --cache_rot B", "unknown option --cache_rot", "did you mean --cache_root?"),
        ("--dataset_paths A --image_resize_hight=3", "unknown option --image_resize_hight", "--image_resize_height?"),
    ],
    ids=["no data", "half a size", "a slip", "a slip with ="],
)
def test_what_cannot_be_meant_is_refused(words: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        translate(words.split(), objective="regression")

    assert message in refused.value.message
    assert hint is None or hint in (refused.value.hint or "")


def test_under_torchrun_one_process_trains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset_paths", "/nowhere"], objective="regression", environ={"RANK": "1"}) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_old_option_is_a_setting_of_the_heads(setting: str) -> None:
    kind: object = config.Config()
    for name in setting.split("."):
        assert name in {each.name for each in dataclasses.fields(kind)}
        kind = getattr(kind, name)


def test_the_page_s_table_has_every_old_option_beside_its_setting() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `--")]

    for option in OPTIONS:
        (row,) = [line for line in rows if f"`{option.names[0]}`" in line]
        assert f"| `{option.setting}` |" in row
        assert all(f"`{name}`" in row for name in option.names)
    named = {name for action in make_parser("regression")._actions for name in action.option_strings}
    assert not {word for row in rows for word in row.split("|")[1].replace("`", " ").replace(",", " ").split()
                if word.startswith("--")} - named  # fmt: skip
    assert all(name in PAGE for name in NOTHING)


def test_the_page_s_example_of_a_model_is_the_one_that_is_run() -> None:
    assert (ROOT / "tests/image/features/vilt_code.py").read_text(encoding="utf-8") in PAGE
