"""Rows of a batch that go through the model at once: halved on a memory shortage, doubled again later.

The gradients are those of the whole batch, whatever the parts: see data.batch.split_batch.
"""

from __future__ import annotations

import os

from vldock.common.errors import EnvironmentUnfit
from vldock.image.training.loop.gradient_sync import OutOfMemoryEverywhere

GOOD = 50  # updates in memory before twice as many rows are tried


class RowsAtOnce:
    """Rows computed at once of `configured` ones.

    `wait` is how many good updates it takes until they double. It doubles with each attempt that failed.
    """

    def __init__(self, configured: int) -> None:
        self.configured = self.now = configured
        self.wait, self._good, self._grown = GOOD, 0, False

    def halve(self, error: BaseException) -> None:
        """Halve the rows. Raises EnvironmentUnfit as `halve_batch` does."""
        self.now = halve_batch(self.now, error)
        self.wait *= 2 if self._grown else 1
        self._good, self._grown = 0, False

    def count_update(self) -> None:
        """Count an update that fitted."""
        self._good += 1

    def grow(self) -> bool:
        """Double the rows where enough updates fitted; return whether they did.

        Called where a checkpoint was just written: if the larger part does not fit, no update is lost.
        """
        if self.now >= self.configured or self._good < self.wait:
            return False
        self.now = min(self.configured, 2 * self.now)
        self._good, self._grown = 0, True
        return True


def halve_batch(rows: int, error: BaseException) -> int:
    """Return half of `rows`, those of a batch at once.

    Raises EnvironmentUnfit for one row, or where other processes do not know of the error.
    """
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if rows > 1 and (alone or isinstance(error, OutOfMemoryEverywhere)):
        return rows // 2
    raise EnvironmentUnfit(
        f"one row does not fit: {str(error).splitlines()[0][:200]}" if rows == 1 else "a batch does not fit a GPU",
        expected="memory for one forward and backward pass",
        hint="model.method=qlora, train.gradient_checkpointing=true, a smaller model.lora_r or train.batch_size",
    ) from error
