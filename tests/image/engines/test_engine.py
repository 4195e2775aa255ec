"""The batched engine answers token for token as VLMEvalKit's own loop does, whatever the batch."""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest
import tiny_wrapper
import torch
from engine_answers import WRAPPER_WARNINGS, Found, answers, engine

from vldock.common.matrix import MODELS
from vldock.image import engines
from vldock.image.answering.types import Question
from vldock.image.engines import eligibility, language_model
from vldock.image.engines.batched import BatchedEngine

pytestmark = WRAPPER_WARNINGS


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every row in one padded pass, as on a GPU."""
    monkeypatch.setattr(language_model, "plan_passes", lambda segments, *, by_length: [list(range(len(segments)))])


@pytest.mark.parametrize("size", [1, 2, 5, "auto"])
def test_every_answer_is_the_stock_loops_token_for_token(
    wrapper: Any, asked: list[Question], expected: Found, size: Any
) -> None:
    found = answers(engine(wrapper, size), asked)

    assert found == expected


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("size", [2, 5])
def test_every_answer_is_the_stock_loops_where_prompts_are_padded_into_one_pass(
    wrapper: Any, asked: list[Question], expected: Found, size: int
) -> None:
    assert answers(engine(wrapper, size), asked) == expected


@pytest.mark.usefixtures("together")
def test_padding_seen_while_a_prompt_is_read_would_be_noticed(
    wrapper: Any, asked: list[Question], expected: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model, "prefill_mask", lambda before, new, *, device: None)

    assert answers(engine(wrapper, 5), asked) != expected


def test_the_questions_have_every_shape_the_engine_treats_by_itself(
    wrapper: Any, asked: list[Question], expected: Found
) -> None:
    notes = {answer.index: answer.note for answer in engine(wrapper, 5).answers(asked)}
    lengths = {len(tokens) for _, tokens in expected.values()}

    assert {sum(part["type"] == "image" for part in item.message) for item in asked} == {0, 1, 3}
    assert any(note.get("cut") for note in notes.values())
    assert len({note["length"] for note in notes.values()}) > 5
    assert 1 in lengths
    assert tiny_wrapper.MOST in lengths
    assert len(lengths) > 3
    assert max(note["batch"] for note in notes.values()) == 5


def test_wrong_positions_would_be_noticed(
    wrapper: Any, asked: list[Question], expected: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(before: Any, new: Any, *, device: Any) -> torch.Tensor:
        return torch.arange(max(new), device=device).expand(len(new), -1)

    monkeypatch.setattr(language_model, "position_ids", counted)

    assert answers(engine(wrapper, 5), asked) != expected


def test_seen_padding_would_be_noticed(
    wrapper: Any, asked: list[Question], expected: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model, "decode_mask", lambda lengths, *, columns, device: None)

    assert answers(engine(wrapper, 5), asked) != expected


def test_padding_on_the_right_would_be_noticed(
    wrapper: Any, asked: list[Question], expected: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = language_model.LanguageModel.prefill

    def turned(self: Any, segments: Any) -> Any:
        longest = max(segment.embeds.shape[0] for segment in segments)
        return read(self, [language_model.Segment(torch.nn.functional.pad(s.embeds, (0, 0, 0, longest - len(s.embeds))),
                                            s.past) for s in segments])  # fmt: skip

    monkeypatch.setattr(language_model.LanguageModel, "prefill", turned)

    assert answers(engine(wrapper, 5), asked) != expected


def test_repetition_penalty_is_that_of_generate(wrapper: Any, asked: list[Question], expected: Found) -> None:
    wrapper.kwargs["repetition_penalty"] = 1.7
    try:
        found, stock = answers(engine(wrapper, 5), asked), tiny_wrapper.stock(wrapper, asked)
    finally:
        del wrapper.kwargs["repetition_penalty"]

    assert found == stock != expected


@pytest.mark.parametrize(
    ("kwargs", "word"),
    [({"do_sample": True}, "sample"), ({"num_beams": 2}, "beam search"), ({"max_time": 1.0}, "max_time")],
)
def test_what_is_not_greedy_is_left_to_the_stock_loop_and_told(
    wrapper: Any, kwargs: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")
    monkeypatch.setattr(wrapper, "kwargs", {**wrapper.kwargs, **kwargs})

    assert engines.engine_of(wrapper, "llava_v1.5_7b") is None
    assert word in capsys.readouterr().out


def test_eager_attention_is_left_to_the_stock_loop(wrapper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")
    assert isinstance(engines.engine_of(wrapper, "llava_v1.5_7b"), BatchedEngine)
    monkeypatch.setattr(wrapper.model.config, "_attn_implementation", "eager")
    assert engines.engine_of(wrapper, "llava_v1.5_7b") is None


@pytest.mark.parametrize(
    ("name", "wrapper", "why"),
    [
        ("InternVL2-8B", "vlmeval.vlm.internvl:InternVLChat", "attends eagerly"),
        ("MiniCPM-V-2_6", "vlmeval.vlm.minicpm_v:MiniCPM_V_2_6", "3 beams"),
        ("cogvlm-chat", "vlmeval.vlm.cogvlm:CogVlm", "other weights for image positions"),
    ],
)
def test_a_model_with_remote_code_is_left_to_the_stock_loop_by_name_and_reason(
    name: str, wrapper: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")
    monkeypatch.setenv("VLDOCK_FEATURE_CACHE", "1")
    kind = pkgutil.resolve_name(wrapper)

    assert engines.engine_of(object.__new__(kind), name) is None
    said = capsys.readouterr().out
    assert (
        f"engine batched/auto: VLMEvalKit's own loop answers {name} instead, and the feature cache is not used" in said
    )
    assert f"this is {kind.__name__}: " in said
    assert why in said


def test_the_reasons_are_those_of_the_declared_models_wrappers() -> None:
    from vlmeval.config import supported_VLM

    kinds = {supported_VLM[model.name].func.__qualname__ for model in MODELS if model.remote_code}

    assert kinds == set(eligibility.REMOTE_CODE)
