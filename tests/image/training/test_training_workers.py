"""Worker processes that read batches: the same weights, within shared memory, and their deaths explained."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import training_fixture
from training_fixture import Box, encoded, weights_of

from vldock.common.errors import EnvironmentUnfit
from vldock.image.training.data.encode import Records
from vldock.image.training.loop import monitor, trainer, workers

TWO = "train.workers=2"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with one file for each process that read a training record."""
    folder, read = tmp_path / "readers", Records.__getitem__
    folder.mkdir()

    def noted(self: Records, index: int) -> Any:
        (folder / str(os.getpid())).touch()
        return read(self, index)

    monkeypatch.setattr(Records, "__getitem__", noted)
    return folder


def test_two_workers_train_the_same_bits_as_none(box: Box, tmp_path: Path, readers: Path) -> None:
    words = ("train.max_steps=3", "train.accumulation=2", "model.lora_dropout=0.3")

    with_two = box.train(tmp_path / "two", *words, TWO)
    read_by = {path.name for path in readers.iterdir()}
    alone = box.train(tmp_path / "none", *words)

    assert len(read_by) == 2
    assert str(os.getpid()) not in read_by
    assert weights_of(with_two.folder / "last") == weights_of(alone.folder / "last")


def test_records_read_the_same_in_a_process_that_does_not_share_memory(box: Box) -> None:
    """A worker that is spawned, and not forked, gets them pickled."""
    _, data, encoder = encoded(box, "next")
    records = Records(data.training, encoder)

    copied = pickle.loads(pickle.dumps(records))

    assert torch.equal(copied[1].ids, records[1].ids)
    assert torch.equal(copied[1].images[0], records[1].images[0])


def test_a_killed_run_resumes_with_workers_to_the_same_bits(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train.max_steps=4", "model.lora_dropout=0.3")
    whole = box.train(tmp_path / "whole", *words)
    with monkeypatch.context() as patch:
        patch.setattr(trainer.FineTuner, "grow_rows", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            box.train(tmp_path / "parts", *words, TWO)

    parts = box.train(tmp_path / "parts", *words, TWO)

    assert parts.resumed_from == 2
    assert weights_of(parts.folder / "last") == weights_of(whole.folder / "last")


def test_the_feature_cache_is_read_by_the_training_process_and_that_is_told(
    box: Box, tmp_path: Path, readers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLDOCK_FEATURES", str(tmp_path / "features"))

    run = box.train(tmp_path / "run", TWO, "model.feature_cache=true").folder

    told = [line for line in monitor.read(run / monitor.LOG) if line["event"] == "workers"]
    assert [(line["asked"], line["used"]) for line in told] == [(2, 0)]
    assert "read by the training process" in told[0]["trouble"]
    assert [path.name for path in readers.iterdir()] == [str(os.getpid())]


def test_no_more_workers_run_than_shared_memory_has_room_for(box: Box) -> None:
    _, data, encoder = encoded(box, "next")
    told: list[dict[str, Any]] = []
    row = max(workers.bytes_of(encoder(record)) for record in data.training[: workers.LOOKED_AT])

    def emit(event: str, **values: Any) -> None:
        told.append(values)

    used = workers.count_workers(4, 2, data.training, encoder, emit=emit, free=lambda: 2 * 2 * 2 * row + 1)

    assert used == 2
    assert "--shm-size" in told[0]["trouble"]


def test_a_worker_that_is_killed_ends_the_run_with_what_to_lower(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Records, index: int) -> Any:
        assert torch.utils.data.get_worker_info() is not None
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Records, "__getitem__", dies)

    with pytest.raises(EnvironmentUnfit, match="DataLoader worker") as refused:
        box.train(tmp_path / "run", TWO)

    assert "train.workers" in refused.value.render()
