"""Process of torchrun: trains a box; one rank runs out of memory over a number of rows.

python -m torch.distributed.run ... training_rank.py ROOT OUT RANK ROWS KEY=VALUE...
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from training_fixture import Box

from vldock.image.training.loop import trainer

ROOT, OUT, RANK, ROWS, *WORDS = sys.argv[1:]
compute = trainer.FineTuner.compute_loss


def full(self: Any, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
    loss = compute(self, model, inputs, return_outputs)
    late = self.state.global_step > 1  # there is a checkpoint to go on from
    if os.environ["RANK"] == RANK and late and len(inputs["input_ids"]) > int(ROWS):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    return loss


trainer.FineTuner.compute_loss = full
Box(Path(ROOT)).train(Path(OUT), *WORDS)
