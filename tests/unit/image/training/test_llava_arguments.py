"""Arguments of LLaVA's train.py: the settings they become, and what is said of those that become none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.paths import ROOT

from vldock.common.errors import UsageError
from vldock.image.training import config, llava_argument_table
from vldock.image.training.config import Config
from vldock.image.training.llava_arguments import OWN_SETTINGS, translate

SCRIPTS = json.loads((ROOT / "tests/image/llava_scripts.json").read_text())
FOUR = [
    "--model_name_or_path", "lmsys/vicuna-7b-v1.5", "--data_path", "/workspace/data/llava_instruct.json",
    "--image_folder", "/workspace/data/images", "--output_dir", "/workspace/checkpoints/llava-7b-finetune",
]  # fmt: skip


def resolved(*argv: str) -> Config:
    """Return the configuration that a command line becomes."""
    return config.load(None, translate(argv).arguments)


def test_the_four_arguments_name_base_data_images_and_folder() -> None:
    made = resolved(*FOUR)

    assert (made.model.base, made.out) == ("lmsys/vicuna-7b-v1.5", "/workspace/checkpoints/llava-7b-finetune")
    assert (made.data.source, made.data.path) == ("json", "/workspace/data/llava_instruct.json")
    assert (made.data.images, made.model.method) == ("/workspace/data/images", "lora")


@pytest.mark.parametrize(
    ("script", "method", "template", "rate", "rows"),
    [
        ("pretrain", "projector", "plain", 1e-3, 32),
        ("finetune", "full", "llava_v1", 2e-5, 16),
        ("finetune_lora", "lora", "llava_v1", 2e-4, 16),
        ("finetune_task", "full", "llava_v1", 2e-5, 16),
    ],
)
def test_a_published_script_becomes_its_settings(
    script: str, method: str, template: str, rate: float, rows: int
) -> None:
    made = resolved(*SCRIPTS[script])

    assert (made.model.method, made.model.template) == (method, template)
    assert (made.train.learning_rate, made.train.batch_size, made.train.accumulation) == (rate, rows, 1)
    assert (made.train.precision, made.train.workers, made.train.log_every) == ("bf16", 4, 1)
    assert (made.model.select_layer, made.model.max_length, made.train.patience) == (-2, 2048, 0)


def test_the_adapters_of_the_lora_script_are_its_own() -> None:
    made = resolved(*SCRIPTS["finetune_lora"])

    assert (made.model.lora_r, made.model.lora_alpha, made.train.projector_learning_rate) == (128, 256, 2e-5)
    assert made.model.projector_weights == "./checkpoints/llava-v1.5-13b-pretrain/mm_projector.bin"


def test_an_argument_without_effect_is_said_with_its_reason() -> None:
    notes = translate([*FOUR, "--lora_enable", "True", "--tf32", "True", "--report_to", "wandb", "tensorboard"]).notes

    assert notes == (
        "--tf32 True: no effect here; train.precision decides",
        "--report_to wandb tensorboard: no effect here; the log is log.jsonl, TensorBoard's files and page.html of the "
        "run's folder",
    )


@pytest.mark.parametrize(
    "written",
    [
        ["--lora_enable", "True"], ["--lora_enable=True"], ["--lora-enable", "true"], ["--lora-enable=1"],
        ["--lora_enable"], ["--lora_enable", "--lora_r", "8"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_switch_may_be_written_in_each_of_the_parsers_ways(written: list[str]) -> None:
    assert resolved(*FOUR, *written).model.method == "lora"


def test_no_before_a_switch_is_false() -> None:
    assert resolved(*FOUR, "--no_dataloader_pin_memory").train.pin_memory is False


@pytest.mark.parametrize(
    ("argv", "method"),
    [
        (["--lora_enable", "False"], "full"), (["--bits", "4"], "qlora"),
        (["--bits", "4", "--lora_enable", "True"], "qlora"), (["--bits", "16", "--lora_enable", "True"], "lora"),
        (["--tune_mm_mlp_adapter", "True"], "projector"), (["--lora_enable", "True", "model.method=qlora"], "qlora"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)  # fmt: skip
def test_the_method_follows_adapters_bits_and_projector(argv: list[str], method: str) -> None:
    assert resolved(*FOUR, *argv).model.method == method


def test_own_options_and_settings_stay_and_may_be_mixed_in() -> None:
    argv = ["train.clip=1.0", *FOUR, "--config", "x.yaml", "--no_check", "train.workers=2", "--check"]

    made = translate(argv).arguments

    assert made[:4] == ("--config", "x.yaml", "--no-check", "--check")
    assert {"train.clip=1.0", "train.workers=2", "data.source=json"} <= set(made[4:])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--sample_fraction", "0.1", "--epochs=2"], ("data.sample_fraction=0.1", "train.epochs=2")),
        (["--train.batch-size", "4", "--out", "checkpoints/x"], ("train.batch_size=4", "out=checkpoints/x")),
    ],
)
def test_a_setting_is_taken_as_an_argument_by_its_last_or_whole_name(argv: list[str], words: tuple[str, ...]) -> None:
    assert translate(argv).arguments == words


def test_the_default_method_stays_where_neither_base_nor_data_is_given() -> None:
    assert translate(["--learning_rate", "1e-5"]).arguments == ("train.learning_rate=1e-05",)


def test_a_last_name_of_two_settings_is_no_argument() -> None:
    assert "data.path" in OWN_SETTINGS
    assert "seed" not in OWN_SETTINGS


def test_a_file_decides_the_method_that_no_argument_names() -> None:
    made = translate([*FOUR, "--config", "x.yaml"]).arguments

    assert not [word for word in made if word.startswith(("model.method", "data.accept"))]


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["--learning_rat", "1"], "unknown argument --learning_rat", "did you mean --learning_rate?"),
        (["--vision-towers=x"], "unknown argument --vision-towers", "did you mean --vision_tower?"),
        (["--freeze_backbone", "True"], "--freeze_backbone True: not here", "--tune_mm_mlp_adapter True"),
        (["--unfreeze_mm_vision_tower"], "--unfreeze_mm_vision_tower True: not here", "stays frozen"),
        (["--bits", "8"], "--bits 8", "--bits 4"),
        (["--version", "v0"], "--version v0", "--version v1"),
        (["--bf16", "True", "--fp16", "True"], "--bf16 True and --fp16 True", "--fp16 False"),
        (["--save_strategy", "epoch"], "--save_strategy epoch", "--save_steps N"),
        (["--warmup_steps", "100"], "--warmup_steps 100: not here", "--warmup_ratio"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_with_what_to_type(argv: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        translate([*FOUR, *argv])

    assert caught.value.message.startswith(message)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "argv", [["--lora_r", "many"], ["--lora_r"], ["--bf16", "fp16"], ["--data_path"]], ids=" ".join
)
def test_a_value_of_another_kind_is_refused(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        translate([*FOUR, *argv])


def test_text_is_not_read_as_yaml() -> None:
    assert resolved("--data_path", "a: #1.json", "--output_dir", "7").data.path == "a: #1.json"


def test_the_table_of_the_manual_is_the_codes() -> None:
    table = "\n".join(llava_argument_table.render_table())

    assert table in Path(ROOT / "docs/use/train.md").read_text(), f"docs/use/train.md needs this table:\n{table}"


def test_help_names_every_argument() -> None:
    text = llava_argument_table.render_help()

    assert [name for name in llava_argument_table.NAMES if f"--{name}" not in text] == []
