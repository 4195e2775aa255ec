"""Paired samples of two cells: flips, their significance, and the unpaired rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.host.reports import samples, statistics
from vldock.host.reports.samples import Sample
from vldock.host.reports.statistics import Interval

SAME = ("question", "options", "answer")  # what must be equal of two rows of one index
NOTED = ("limit", "tsv_md5", "judge", "weights", "vldock")


@dataclass(frozen=True)
class Flip:
    """A sample right in one cell and wrong in the other."""

    index: str
    direction: str
    question: str
    answer: str
    before: str
    after: str


@dataclass(frozen=True)
class Pair:
    """Two cells on the samples they share.

    `accuracy` and `delta` are of those with a verdict, 0-100 and points.
    """

    model: str
    other_model: str
    benchmark: str
    scores: tuple[float | None, float | None]
    shared: int
    only_first: int
    only_second: int
    unlike: int
    judged: int
    accuracy: tuple[float, float] | None
    delta: float | None
    interval: Interval | None
    p: float | None
    changed: int
    flips: tuple[Flip, ...]
    notes: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Number of flips from right to wrong."""
        return sum(flip.direction == "right to wrong" for flip in self.flips)

    @property
    def gained(self) -> int:
        """Number of flips from wrong to right."""
        return len(self.flips) - self.lost

    @property
    def differs(self) -> bool:
        """Whether a verdict flipped or, without verdicts, the score differs."""
        return bool(self.flips) or (not self.judged and self.scores[0] != self.scores[1])

    def as_json(self) -> dict[str, Any]:
        """Return plain values for --json."""
        return {**asdict(self), "lost": self.lost, "gained": self.gained, "differs": self.differs}


def pair(first: tuple[Path, Cell], second: tuple[Path, Cell]) -> Pair:
    """Pair two cells of one benchmark by index.

    Paired rows have the same question. Raises InputRefused where one is a STAND-IN's and the other is not, or where
    they share no sample.
    """
    (one_folder, one), (two_folder, two) = first, second
    if one.standin != two.standin:
        raise InputRefused(
            f"{one.benchmark}: one of the two was made by a STAND-IN", expected="two real runs, or two of stand-ins"
        )
    before, after = samples.read(one_folder, one), samples.read(two_folder, two)
    for folder, found in ((one_folder, before), (two_folder, after)):
        if not found.rows:
            raise InputRefused(f"{folder} has no predictions: {found.reason}", hint="run this cell again")
    others = {row.index: row for row in after.rows}
    matched = [(row, others[row.index]) for row in before.rows if row.index in others]
    pairs = [(old, new) for old, new in matched if all(getattr(old, name) == getattr(new, name) for name in SAME)]
    if not pairs:
        raise InputRefused(
            f"{one.benchmark}: the two share no sample ({len(before.rows)} and {len(after.rows)} rows, "
            f"{len(matched)} with the same index)",
            expected="two cells made from the same TSV",
        )
    return _pair(one, two, pairs, (len(before.rows), len(after.rows), len(matched)), (before.reason, after.reason))


def _pair(
    one: Cell,
    two: Cell,
    pairs: Sequence[tuple[Sample, Sample]],
    counts: tuple[int, int, int],
    reasons: tuple[str | None, str | None],
) -> Pair:
    """Return the pair of two cells.

    `counts` are rows of the first, of the second, and rows of one index.
    """
    judged = [(old, new) for old, new in pairs if old.score is not None and new.score is not None]
    whys = [f"no verdicts: {reason}" for reason in dict.fromkeys(reasons) if reason and not judged]
    return Pair(
        model=one.model,
        other_model=two.model,
        benchmark=one.benchmark,
        scores=(one.score, two.score),
        shared=len(pairs),
        only_first=counts[0] - counts[2],
        only_second=counts[1] - counts[2],
        unlike=counts[2] - len(pairs),
        judged=len(judged),
        changed=sum(old.prediction != new.prediction for old, new in pairs),
        notes=(*_notes(one, two, counts, len(pairs)), *whys),
        **_verdicts(judged),
    )


def _verdicts(judged: Sequence[tuple[Sample, Sample]]) -> dict[str, Any]:
    """Return the fields of a Pair that need verdicts; None without a verdict."""
    olds, news = [old.score or 0.0 for old, _ in judged], [new.score or 0.0 for _, new in judged]
    flips = tuple(_flip(old, new) for old, new in judged if old.right != new.right)
    if not judged:
        return {"accuracy": None, "delta": None, "interval": None, "p": None, "flips": flips}
    lost = sum(flip.direction == "right to wrong" for flip in flips)
    first, second = (100 * sum(scores) / len(scores) for scores in (olds, news))
    return {
        "accuracy": (first, second),
        "delta": second - first,
        "interval": statistics.difference_interval(olds, news),
        "p": statistics.mcnemar(lost, len(flips) - lost),
        "flips": flips,
    }


def _flip(old: Sample, new: Sample) -> Flip:
    direction = "right to wrong" if old.right else "wrong to right"
    return Flip(old.index, direction, old.question, old.answer, _said(old), _said(new))


def _said(sample: Sample) -> str:
    return f"{sample.prediction} ({sample.note})" if sample.note else sample.prediction


def _notes(one: Cell, two: Cell, counts: tuple[int, int, int], shared: int) -> list[str]:
    """Describe the differences in the two cells' inputs."""
    notes = []
    if counts[0] != shared or counts[1] != shared:
        notes.append(f"only the {shared} samples both have are compared, of {counts[0]} and {counts[1]}")
    if counts[2] != shared:
        notes.append(f"{counts[2] - shared} samples of one index ask or expect something else: left out")
    notes += [f"{cell.model} {name}: FAILED, {cell.error}" for name, cell in (("A", one), ("B", two)) if cell.error]
    for name in NOTED:
        mine, theirs = one.identity.get(name), two.identity.get(name)
        if mine != theirs:
            notes.append(f"{name}: {_short(mine)} and {_short(theirs)}")
    return notes


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 16 else f"{text[:12]}..."
