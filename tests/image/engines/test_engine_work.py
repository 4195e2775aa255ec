"""The batched engine does its work once, within the memory there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_wrapper
import torch
from engine_answers import WRAPPER_WARNINGS, Found, answers, engine

from vldock.image.answering.types import Question
from vldock.image.engines import language_model
from vldock.image.engines.memory_features import FeatureStore

pytestmark = WRAPPER_WARNINGS


def test_each_distinct_image_is_looked_at_once(wrapper: Any, asked: list[Question]) -> None:
    store = FeatureStore(1 << 30)
    images = {part["value"] for item in asked for part in item.message if part["type"] == "image"}

    answers(engine(wrapper, 3, store), asked)
    answers(engine(wrapper, 2, store), asked)

    assert store.computed == len(images)


def test_a_store_too_small_for_one_image_costs_time_and_no_answer(
    wrapper: Any, asked: list[Question], expected: Found
) -> None:
    assert answers(engine(wrapper, 5, FeatureStore(1)), asked) == expected


def test_a_shared_beginning_is_read_once(wrapper: Any, asked: list[Question], monkeypatch: pytest.MonkeyPatch) -> None:
    read, lengths = language_model.LanguageModel.prefill, list[int]()

    def counted(self: Any, segments: Any) -> Any:
        lengths.extend(segment.embeds.shape[0] for segment in segments)
        return read(self, segments)

    monkeypatch.setattr(language_model.LanguageModel, "prefill", counted)
    one_image = [item for item in asked if [part["type"] for part in item.message] == ["image", "text"]]
    same = [Question(i, [one_image[0].message[0], item.message[-1]], "POPE") for i, item in enumerate(one_image)]
    found = [answer.note["length"] for answer in engine(wrapper, 2).answers(same)]

    assert sum(lengths) < 0.7 * sum(found)


def test_memory_that_runs_out_halves_the_batch_and_changes_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    step, read = language_model.LanguageModel.decode, language_model.LanguageModel.prefill

    def small(self: Any, cache: Any, tokens: Any, lengths: Any) -> Any:
        if len(tokens) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return step(self, cache, tokens, lengths)

    def smaller(self: Any, segments: Any) -> Any:
        if len(segments) > 3:
            raise RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried 1 bytes")
        return read(self, segments)

    monkeypatch.setattr(language_model.LanguageModel, "decode", small)
    monkeypatch.setattr(language_model.LanguageModel, "prefill", smaller)

    assert answers(engine(wrapper, 6), asked) == expected
    assert "going on with" in capsys.readouterr().out


def test_memory_that_runs_out_with_one_row_is_raised(
    wrapper: Any, asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(language_model.LanguageModel, "decode", none)

    with pytest.raises(torch.cuda.OutOfMemoryError):
        answers(engine(wrapper, 4), asked)


def test_an_image_that_cannot_be_read_is_raised_after_what_came_before(wrapper: Any, asked: list[Question]) -> None:
    gone = Question(99, [{"type": "image", "value": "/nowhere.png"}, {"type": "text", "value": "what"}], "POPE")
    found = []

    with pytest.raises(FileNotFoundError):
        found.extend(engine(wrapper, 2).answers([*asked[:6], gone]))

    assert len(found) == 6


def test_two_models_with_one_tower_share_what_it_sees(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    store = FeatureStore(1 << 30)
    other = tiny_wrapper.make(tmp_path)
    other.model.get_vision_tower().load_state_dict(wrapper.model.get_vision_tower().state_dict())

    answers(engine(wrapper, 3, store), asked)
    seen = store.computed
    answers(engine(other, 3, store), asked)

    assert store.computed == seen
