"""TensorBoard files of a run's curves: `tensorboard --logdir checkpoints`.

Names are those of transformers' own callback where it has one. That callback, and tensorboardX's SummaryWriter, hand
events to a thread whose queue a kill loses, and write the steps of a resumed run twice; so tensorboardX's plain writer
is called here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"
FILES = "events.out.tfevents.*"
# event of the log -> its field -> tag
TAGS = {
    "step": {
        "loss": "train/loss",
        "gradient_norm": "train/grad_norm",
        "learning_rate": "train/learning_rate",
        "epoch": "train/epoch",
        "memory_gb": "train/memory_gb",
        "tokens_per_second": "train/tokens_per_second",
    },
    "heldout": {"eval_accuracy": "eval/accuracy", "eval_loss": "eval/loss"},
}


class Scalars:
    """Writer of the log's numbers, flushed at each call.

    `after` is the step a resumed run continues from.

    Each start has its own file. One that follows another begins with the mark at which TensorBoard drops the
    steps above `after`: they are made again. Raises OSError where `folder` cannot be written.
    """

    def __init__(self, folder: Path, *, after: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        before = len(list(folder.glob(FILES)))
        # TensorBoard reads files in the order of their names, which have the time in seconds
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{before:04d}")
        if before:
            mark = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=after + 1, session_log=mark))
        self._writer.flush()

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        """Write the numbers of a "step" or "heldout" event; ignore others."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        tags = TAGS.get(event, {})
        found = [
            Summary.Value(tag=tag, simple_value=float(values[field]))
            for field, tag in tags.items()
            if values.get(field) is not None
        ]
        if found:
            step = int(values["step"])
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=found)))
            self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
