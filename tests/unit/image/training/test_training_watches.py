"""Warnings of a training: what is warned of, how often, and what is usual."""

from __future__ import annotations

from typing import Any

import pytest

from vldock.image.training.loop.watches import EVERY, Watch, unusual_loss


def watched(updates: list[tuple[float, float | None]]) -> list[dict[str, Any]]:
    """Return the warnings of these updates, (loss, gradient norm) each."""
    said: list[dict[str, Any]] = []
    watch = Watch(tokens=32000, clip=0.5, emit=lambda event, **values: said.append(values))
    for step, (loss, norm) in enumerate(updates, 1):
        watch.look(step, loss, norm)
    return said


def test_a_gradient_norm_above_one_is_warned_of_once_in_many_updates_with_its_count() -> None:
    said = watched([(1.0, 4.2)] * (EVERY + 1))

    assert [line["step"] for line in said] == [1, 1 + EVERY]
    assert said[0]["message"] == "step 1: gradient norm 4.20 is above 1, clipped to 0.5"
    assert said[1]["message"].endswith(f"({EVERY} times since step 1)")


@pytest.mark.parametrize("norm", [None, 0.99, float("inf")], ids=["none", "small", "an overflow of fp16"])
def test_other_gradient_norms_are_not_warned_of(norm: float | None) -> None:
    assert watched([(1.0, norm)] * 3) == []


def test_a_loss_of_more_than_three_times_the_median_is_a_spike() -> None:
    said = watched([*[(0.6, None)] * 20, (1.7, None), (1.9, None), (0.6, None)])

    assert [(line["kind"], line["step"]) for line in said] == [("loss_spike", 22)]
    assert "loss 1.90 is 3.2 times the median" in said[0]["message"]


def test_the_first_losses_are_no_spikes() -> None:
    assert [line["kind"] for line in watched([(0.6, None), (1.9, None)])] == []


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (10.4, "fresh or random weights begin near 10.37, a guess among 32000 tokens"),
        (0.2, "the held-out accuracy tells which"),
        (0.5, None),
        (2.0, None),
    ],
)
def test_a_loss_outside_the_usual_range_is_told_with_what_it_means(loss: float, words: str | None) -> None:
    note = unusual_loss(loss, 32000)

    assert note is None if words is None else words in str(note)
