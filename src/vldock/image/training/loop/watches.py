"""Warnings of a training: gradient norm, loss spikes, and a loss out of its usual range.

Each kind is emitted once in EVERY updates, with the number of updates it was true of since the last time.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator

EVERY = 100  # updates between two warnings of one kind
NORM = 1.0
SPIKE, SPIKE_FLOOR = 3.0, 0.1  # times the median; smaller losses jump without meaning
HISTORY, ENOUGH = 50, 10  # losses the median is taken of
USUAL = (0.5, 2.0)  # of a trained LLaVA that answers questions about images


class Watch:
    """Watch over the updates of a run.

    `tokens` is the size of the vocabulary: a guess among all tokens has the loss ln(tokens). `clip` is where gradients
    are clipped.
    """

    def __init__(self, *, tokens: int, clip: float, emit: Callable[..., None]) -> None:
        self.tokens, self.clip, self.emit = tokens, clip, emit
        self._losses: deque[float] = deque(maxlen=HISTORY)
        self._last: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def look(self, step: int, loss: float, norm: float | None) -> None:
        """Examine an update: its loss, and the gradient norm before clipping."""
        for kind, value, message in self._findings(loss, norm):
            self._seen[kind] = self._seen.get(kind, 0) + 1
            if step - self._last.get(kind, -EVERY) >= EVERY:
                count = self._seen.pop(kind)
                since = f" ({count} times since step {self._last[kind]})" if kind in self._last else ""
                self._last[kind] = step
                self.emit("warning", step=step, kind=kind, value=value, message=f"step {step}: {message}{since}")
        self._losses.append(loss)

    def _findings(self, loss: float, norm: float | None) -> Iterator[tuple[str, float, str]]:
        if norm is not None and math.isfinite(norm) and norm > NORM:
            clipped = f", clipped to {self.clip:g}" if self.clip else ""
            yield "gradient_norm", norm, f"gradient norm {norm:.2f} is above {NORM:g}{clipped}"
        if len(self._losses) >= ENOUGH and loss > max(SPIKE * statistics.median(self._losses), SPIKE_FLOOR):
            usual = statistics.median(self._losses)
            yield "loss_spike", loss, f"loss {loss:.2f} is {loss / usual:.1f} times the median of the last updates"
        recent = statistics.fmean([*list(self._losses)[1 - ENOUGH :], loss])
        if note := unusual_loss(recent, self.tokens):
            yield "loss_range", recent, note


def unusual_loss(loss: float, tokens: int) -> str | None:
    """Return what a loss outside the usual range means; None within it."""
    low, high = USUAL
    if loss > high:
        return (
            f"loss {loss:.2f} is above {high}: a trained LLaVA answers about images at {low} to {high}; "
            f"fresh or random weights begin near {math.log(tokens):.2f}, a guess among {tokens} tokens, and fall"
        )
    if loss < low:
        return (
            f"loss {loss:.2f} is below {low}: usual where short answers are learnt, and where they are memorized: "
            "the held-out accuracy tells which"
        )
    return None
