"""A training's configuration: defaults, words over a file, refusals, and the run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.image.training import config, dataset


def test_the_defaults_are_those_of_the_flower_training() -> None:
    train, model = config.Train(), config.Model()

    assert (train.batch_size, train.accumulation, train.learning_rate, train.clip) == (1, 16, 1e-5, 0.5)
    assert (train.precision, train.gradient_checkpointing, train.gpu_memory_fraction) == ("fp16", True, 0.9)
    assert (model.method, train.log_every, config.Data().sample_fraction) == ("qlora", 10, 1.0)


def test_words_override_a_file_and_the_resolved_configuration_reads_back(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("train: {epochs: 3, learning_rate: 1e-4}\ndata: {accept: cmyk}\n")

    made = config.load(tmp_path / "c.yaml", ["train.epochs=5", "model.method=lora"])
    (tmp_path / "again.yaml").write_text(made.to_yaml())

    assert (made.train.epochs, made.train.learning_rate, made.data.accept) == (5.0, 1e-4, ("cmyk",))
    assert config.load(tmp_path / "again.yaml") == made


@pytest.mark.parametrize("name", ["oxford_flowers102", "Oxford-Flowers", "nelorth/oxford-flowers"])
def test_a_data_set_is_the_same_run_by_any_of_its_names(name: str) -> None:
    assert config.load(None, [f"data.name={name}"]) == config.load(None)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("train.epoch=3", "did you mean train.epochs"),
        ("model.method=lorra", "qlora or lora"),
        ("train.batch_size=0", "1 to 4096"),
        ("train.batch_size=two", "type int"),
        ("data.accept=[sepia]", "cmyk"),
        ("train=3", "a section"),
        ("nonsense", "KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_told_with_what_is_right(word: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        config.load(None, [word])

    assert said in refused.value.render()


@pytest.mark.parametrize("out", ["run", "/tmp/run", "checkpoints/../run"])
def test_a_run_that_would_go_with_its_container_is_refused(out: str) -> None:
    with pytest.raises(UsageError, match="removed with the container") as refused:
        dataset.out_folder(out, {"VLDOCK_CHECKPOINTS": "/workspace/checkpoints"})

    assert "out=checkpoints/run" in refused.value.render()


@pytest.mark.parametrize("out", ["checkpoints/run", "/workspace/checkpoints/run"])
def test_a_run_below_the_mounted_folder_stays(out: str) -> None:
    environ = {"VLDOCK_CHECKPOINTS": "/workspace/checkpoints"}

    assert dataset.out_folder(out, environ) == dataset.out_folder(out, {}) == Path("/workspace/checkpoints/run")
