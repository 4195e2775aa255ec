"""Intervals and paired tests against published values and definitions."""

from __future__ import annotations

import pytest

from vldock.host.reports import statistics


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        pytest.param(10, 10, 72.25, 100.0, id="all right"),
        pytest.param(0, 10, 0.0, 27.75, id="none right"),
        pytest.param(81, 263, 25.5, 36.6, id="Newcombe 1998, table I"),
        pytest.param(15, 148, 6.2, 16.1, id="Newcombe 1998, table I, second"),
    ],
)
def test_wilson_gives_the_published_bounds(right: int, n: int, low: float, high: float) -> None:
    found = statistics.wilson(right, n)

    assert (found.low, found.high) == (pytest.approx(low, abs=0.06), pytest.approx(high, abs=0.06))
    assert (found.n, found.method) == (n, "Wilson")


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (5, 5, 1.0), (0, 6, 2 / 64), (2, 12, 2 * 106 / 16384)],
)
def test_mcnemar_is_the_exact_binomial_test_of_the_flips(lost: int, gained: int, p: float) -> None:
    assert statistics.mcnemar(lost, gained) == pytest.approx(p)


def test_the_paired_difference_is_newcombes() -> None:
    before = [1.0] * 36 + [1.0] * 12 + [0.0] * 2  # Newcombe 1998 (paired), method 10: 0.2000 (0.0569 to 0.3404)
    after = [1.0] * 36 + [0.0] * 12 + [1.0] * 2

    found = statistics.difference_interval(after, before)

    assert (found.low, found.high) == (pytest.approx(5.69, abs=0.01), pytest.approx(34.04, abs=0.01))


def test_no_flip_is_no_proof_of_equality() -> None:
    found = statistics.difference_interval([1.0] * 10, [1.0] * 10)

    assert found.low < -20 < 20 < found.high


def test_graded_scores_are_bootstrapped_and_the_seed_makes_them_repeatable() -> None:
    scores = [0.0, 0.3, 0.6, 0.9, 1.0] * 40

    first, second = statistics.mean_interval(scores), statistics.mean_interval(scores)

    assert first == second
    assert first.method == "bootstrap"
    assert (first.low, first.high) == (
        pytest.approx(50.8, abs=0.7),
        pytest.approx(61.2, abs=0.7),
    )  # 56 -+ 1.96 s/sqrt(n)


def test_graded_scores_that_are_all_equal_get_a_bound_and_not_a_point() -> None:
    found = statistics.mean_interval([0.9] * 100)

    assert (found.method, found.low, found.high) == ("Hoeffding", pytest.approx(76.42, abs=0.01), 100.0)


def test_a_perfect_f1_has_wilsons_bounds() -> None:
    found = statistics.f1_interval([(True, True, 3)] * 10 + [(False, False, 1)] * 50)

    share = statistics.wilson_share(10, 10)[0]
    assert (found.low, found.high) == (pytest.approx(200 * share / (1 + share)), 100.0)


def test_the_interval_of_an_f1_holds_it() -> None:
    rows = [(True, True, 3)] * 40 + [(False, False, 1)] * 40 + [(True, False, 3)] * 10 + [(False, True, 1)] * 10

    found = statistics.f1_interval(rows)

    f1 = 100 * 2 * 120 / (2 * 120 + 30 + 10)
    assert 70 < found.low < f1 < found.high < 95
    assert found.method == "bootstrap, of F1"


@pytest.mark.parametrize("n", [3, 30])
def test_hoeffding_narrows_with_the_root_of_n(n: int) -> None:
    narrow, wide = statistics.hoeffding(0.5, 400 * n), statistics.hoeffding(0.5, 100 * n)

    assert (wide.high - wide.low) == pytest.approx(2 * (narrow.high - narrow.low))
