"""Passes, positions and masks of prompts that are read in one batch."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from vldock.image.engines import language_model


def test_prompts_of_one_length_are_read_together_and_those_with_a_past_in_one_pass() -> None:
    past = SimpleNamespace(length=4)
    segments = [
        language_model.Segment(torch.zeros(new, 1), past=before)  # type: ignore[arg-type]
        for new, before in ((5, None), (6, None), (2, past), (5, None), (3, past))
    ]

    assert language_model.plan_passes(segments, by_length=True) == [[0, 3], [1], [2, 4]]
    assert language_model.plan_passes(segments, by_length=False) == [[0, 1, 2, 3, 4]]


def test_padding_has_position_0_and_each_row_counts_its_own_tokens() -> None:
    found = language_model.position_ids([0, 5, 2], [3, 1, 2], device=torch.device("cpu"))

    assert found.tolist() == [[0, 1, 2], [0, 0, 5], [0, 2, 3]]


def test_a_row_sees_its_own_tokens_up_to_itself_and_no_padding() -> None:
    found = language_model.prefill_mask([2, 1], [1, 2], device=torch.device("cpu"))

    assert found is not None
    assert found[0, 0, 1].tolist() == [True, True, False, True]
    assert found[1, 0].tolist() == [[False, True, True, False], [False, True, True, True]]
    assert language_model.prefill_mask([0, 0], [3, 3], device=torch.device("cpu")) is None
