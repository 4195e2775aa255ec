"""95 % intervals and paired tests of scores, closed form or seeded bootstrap.

Wilson          E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; scipy.stats.binomtest
Newcombe        R. G. Newcombe, Stat. Med. 17 (1998) 2635, method 10: difference of paired proportions
McNemar         exact: the flips of one direction are binomial with p = 1/2
Hoeffding       W. Hoeffding, J. Am. Stat. Assoc. 58 (1963) 13: any mean of independent scores in 0-1
bootstrap       percentile, RESAMPLES draws from a generator seeded with SEED: equal input, equal interval
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

LEVEL = 0.95
RESAMPLES = 2000
SEED = 20240501
BATCH = 100  # resamples held at once: 14,000 samples are 11 MB then


def import_in_background() -> None:
    """Import scipy.stats in a thread: it takes a second."""
    threading.Thread(target=importlib.import_module, args=("scipy.stats",), daemon=True).start()


@dataclass(frozen=True)
class Interval:
    """Confidence interval of 95 % on 0-100, by a named method.

    `n` is the number of units.
    """

    low: float
    high: float
    n: int
    method: str

    @property
    def text(self) -> str:
        """The two bounds with one decimal."""
        return f"{self.low:.1f} to {self.high:.1f}"


def wilson_share(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's bounds of a proportion, 0-1; (0, 1) for n = 0."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    bounds = binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    return max(0.0, float(bounds.low)), min(1.0, float(bounds.high))


def wilson(successes: int, n: int) -> Interval:
    """Return Wilson's interval of `successes` out of `n`."""
    low, high = wilson_share(successes, n)
    return Interval(100 * low, 100 * high, n, "Wilson")


def hoeffding(mean: float, n: int) -> Interval:
    """Return Hoeffding's interval of a mean of `n` scores of 0-1.

    It is wide, but needs no single score.
    """
    reach = sqrt(log(2 / (1 - LEVEL)) / (2 * n))
    return Interval(100 * max(0.0, mean - reach), 100 * min(1.0, mean + reach), n, "Hoeffding")


def mean_interval(scores: Sequence[float]) -> Interval:
    """Return the interval of a mean of scores of 0-1.

    Wilson's where all are 0 or 1, else the bootstrap's.
    """
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(sum(score == 1.0 for score in scores), len(scores))
    if len(set(scores)) == 1:
        return hoeffding(scores[0], len(scores))
    low, high = _bootstrap((scores,), lambda sample, axis: sample.mean(axis=axis))
    return Interval(100 * low, 100 * high, len(scores), "bootstrap")


def f1_interval(rows: Sequence[tuple[bool, bool, int]]) -> Interval:
    """Return the interval of the F1 of yes-or-no answers.

    Rows are (truth, predicted, weight). Bootstrap over rows. Where F1 is 0 or 100 every resample is the same: there,
    F1 = 2J/(1+J) with J, true positives out of all but true negatives, a proportion with Wilson's bounds.
    """
    hits = [float(weight) if truth and said else 0.0 for truth, said, weight in rows]
    misses = [float(weight) if truth != said else 0.0 for truth, said, weight in rows]
    if not any(hits) or not any(misses):
        right, relevant = sum(map(bool, hits)), sum(map(bool, hits)) + sum(map(bool, misses))
        low, high = (2 * share / (1 + share) for share in wilson_share(right, relevant))
        return Interval(100 * low, 100 * high, len(rows), "Wilson, of F1")

    def f1(hit: Any, miss: Any, axis: int) -> Any:
        twice = 2 * hit.sum(axis=axis)
        return twice / (twice + miss.sum(axis=axis)).clip(
            1
        )  # a resample of true negatives only: 0, as VLMEvalKit has it

    low, high = _bootstrap((hits, misses), f1)
    return Interval(100 * low, 100 * high, len(rows), "bootstrap, of F1")


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided p value of `lost` against `gained` flips.

    It is 1 without a flip.
    """
    from scipy.stats import binomtest

    return float(binomtest(min(lost, gained), lost + gained, 0.5).pvalue) if lost + gained else 1.0


def difference_interval(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Return the interval of the mean difference of paired scores.

    It is of mean(after) - mean(before), in points; the scores are 0-1. Newcombe's where all scores are 0 or 1, else
    the bootstrap over pairs.
    """
    differences = [new - old for old, new in zip(before, after, strict=True)]
    if all(score in (0.0, 1.0) for score in (*before, *after)):
        return _newcombe(before, after)
    if len(set(differences)) == 1:
        reach = 2 * sqrt(log(2 / (1 - LEVEL)) / (2 * len(before)))
        low, high = max(-1.0, differences[0] - reach), min(1.0, differences[0] + reach)
        return Interval(100 * low, 100 * high, len(before), "Hoeffding, paired")
    low, high = _bootstrap((differences,), lambda sample, axis: sample.mean(axis=axis))
    return Interval(100 * low, 100 * high, len(before), "bootstrap, paired")


def _newcombe(before: Sequence[float], after: Sequence[float]) -> Interval:
    n = len(before)
    pairs = list(zip(before, after, strict=True))
    both, gained = pairs.count((1.0, 1.0)), pairs.count((0.0, 1.0))
    lost, neither = pairs.count((1.0, 0.0)), pairs.count((0.0, 0.0))
    new, old = (both + gained) / n, (both + lost) / n
    new_low, new_high = wilson_share(both + gained, n)
    old_low, old_high = wilson_share(both + lost, n)
    correlation = _correlation(both, gained, lost, neither)

    def reach(one: float, other: float) -> float:
        return sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = new - old - reach(new - new_low, old_high - old)
    high = new - old + reach(new_high - new, old - old_low)
    return Interval(100 * max(-1.0, low), 100 * min(1.0, high), n, "Newcombe, paired")


def _correlation(both: int, gained: int, lost: int, neither: int) -> float:
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    product = float(both * neither - gained * lost)
    if product > 0:  # method 10's continuity correction
        product = max(product - (both + gained + lost + neither) / 2, 0.0)
    return product / sqrt(margins) if margins else 0.0


def _bootstrap(columns: tuple[Sequence[float], ...], statistic: Any) -> tuple[float, float]:
    from scipy.stats import bootstrap

    found = bootstrap(
        columns,
        statistic,
        paired=len(columns) > 1,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=LEVEL,
        method="percentile",
        rng=SEED,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
