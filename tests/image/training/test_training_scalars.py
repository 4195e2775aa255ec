"""TensorBoard files of a run: whole records, the log's numbers, each step once though the run was resumed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import training_fixture
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from vldock.image.training.loop import monitor, tensorboard

STEP = {"loss": 0.5, "gradient_norm": 2.0, "learning_rate": 1e-3, "memory_gb": 1.5, "tokens_per_second": 80.0}


def records(path: Path) -> list[Event]:
    """Return the events of a file, checksums verified; a torn last record ends them."""
    data, found = path.read_bytes(), []
    while len(data) >= 16:
        head, (size,) = data[:8], struct.unpack("<Q", data[:8])
        if len(data) < size + 16:
            break
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(head)
        body, (crc,) = data[12 : 12 + size], struct.unpack("<I", data[12 + size : 16 + size])
        assert crc == masked_crc32c(body)
        found.append(Event.FromString(body))
        data = data[16 + size :]
    return found


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return {tag: [(step, value), ...]} as TensorBoard shows them: a START mark drops the steps from its own on."""
    shown: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob(tensorboard.FILES)):
        for event in records(path):
            if event.session_log.status == SessionLog.START:
                shown = {tag: [p for p in points if p[0] < event.step] for tag, points in shown.items()}
            for value in event.summary.value:
                shown.setdefault(value.tag, []).append((event.step, value.simple_value))
    return shown


def test_a_run_has_the_curves_of_its_log_under_transformers_names(tmp_path: Path) -> None:
    run = training_fixture.make(tmp_path / "box").train(tmp_path / "run").folder

    shown = curves(run / tensorboard.FOLDER)

    logged = [line for line in monitor.read(run / monitor.LOG) if line["event"] == "step"]
    assert [step for step, _ in shown["train/loss"]] == [1, 2]
    assert [value for _, value in shown["train/loss"]] == pytest.approx([line["loss"] for line in logged])
    assert {"train/grad_norm", "train/learning_rate", "train/memory_gb", "train/tokens_per_second"} < set(shown)
    assert {"eval/accuracy", "eval/loss"} < set(shown)


def test_what_was_logged_can_be_read_while_the_file_is_open(tmp_path: Path) -> None:
    writer = tensorboard.Scalars(tmp_path, after=0)

    writer("step", {"step": 10, **STEP})

    assert curves(tmp_path)["train/loss"] == [(10, 0.5)]
    writer.close()


def test_a_record_that_a_kill_tore_costs_only_itself(tmp_path: Path) -> None:
    writer = tensorboard.Scalars(tmp_path, after=0)
    for step in (10, 20):
        writer("step", {"step": step, **STEP})
    writer.close()
    (path,) = tmp_path.glob(tensorboard.FILES)
    path.write_bytes(path.read_bytes()[:-5])

    assert curves(tmp_path)["train/grad_norm"] == [(10, 2.0)]


def test_a_resumed_run_shows_each_step_once(tmp_path: Path) -> None:
    for start in (0, 20):
        writer = tensorboard.Scalars(tmp_path, after=start)
        for step in (start + 10, start + 20):
            writer("step", {"step": step, **STEP, "loss": float(start)})
        writer.close()
    again = tensorboard.Scalars(tmp_path, after=30)
    again("step", {"step": 40, **STEP, "loss": 30.0})
    again.close()

    assert curves(tmp_path)["train/loss"] == [(10, 0.0), (20, 0.0), (30, 20.0), (40, 30.0)]
    assert len(list(tmp_path.glob(tensorboard.FILES))) == 3


@pytest.mark.parametrize(
    ("event", "values"),
    [("proof", {"step": 1}), ("step", {"step": 1}), ("heldout", {"step": 1, "eval_accuracy": None})],
    ids=["another event", "no numbers", "none"],
)
def test_an_event_without_numbers_writes_nothing(tmp_path: Path, event: str, values: dict[str, Any]) -> None:
    writer = tensorboard.Scalars(tmp_path, after=0)

    writer(event, values)

    assert curves(tmp_path) == {}
    writer.close()
