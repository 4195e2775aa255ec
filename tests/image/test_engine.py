"""The batched engine answers token for token as VLMEvalKit's own loop does, whatever the batch; work is done once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import tiny_wrapper
import torch

from vldock.image import engines
from vldock.image.answering.types import Answer, Question
from vldock.image.engines import language_model, vlmeval_loop
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.vlmeval_hooks.provenance import sample_notes

pytestmark = [  # of the wrapper's own settings, and of transformers about them
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]
Found = dict[int, tuple[str, list[int]]]


@pytest.fixture(scope="module")
def expected(wrapper: Any, asked: list[Question]) -> Found:
    """What VLMEvalKit's own loop answers."""
    return tiny_wrapper.stock(wrapper, asked)


def engine(wrapper: Any, size: Any, store: FeatureStore | None = None) -> BatchedEngine:
    return BatchedEngine(wrapper, batch_size=size, features=FeatureStore(1 << 30) if store is None else store)


def answers(made: BatchedEngine, asked: list[Question]) -> Found:
    return {answer.index: (answer.text, answer.note["answer"]) for answer in made.answers(asked)}


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every row read in one padded pass, as on a GPU."""
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

    monkeypatch.setattr(language_model, "positions", counted)

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


def test_repetition_penalty_is_that_of_generate(wrapper: Any, asked: list[Question], expected: Found) -> None:
    wrapper.kwargs["repetition_penalty"] = 1.7
    try:
        found, stock = answers(engine(wrapper, 5), asked), tiny_wrapper.stock(wrapper, asked)
    finally:
        del wrapper.kwargs["repetition_penalty"]

    assert found == stock != expected


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


@pytest.mark.parametrize(
    ("kwargs", "word"),
    [({"do_sample": True}, "sample"), ({"num_beams": 2}, "beam search"), ({"max_time": 1.0}, "max_time")],
)
def test_what_is_not_greedy_is_left_to_the_stock_loop_and_told(
    wrapper: Any, kwargs: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")
    monkeypatch.setattr(wrapper, "kwargs", {**wrapper.kwargs, **kwargs})

    assert engines.engine_of(wrapper) is None
    assert word in capsys.readouterr().out


def test_eager_attention_is_left_to_the_stock_loop(wrapper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")
    assert isinstance(engines.engine_of(wrapper), BatchedEngine)
    monkeypatch.setattr(wrapper.model.config, "_attn_implementation", "eager")
    assert engines.engine_of(wrapper) is None


def test_two_models_with_one_tower_share_what_it_sees(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    store = FeatureStore(1 << 30)
    other = tiny_wrapper.make(tmp_path)
    other.model.get_vision_tower().load_state_dict(wrapper.model.get_vision_tower().state_dict())

    answers(engine(wrapper, 3, store), asked)
    seen = store.computed
    answers(engine(other, 3, store), asked)

    assert store.computed == seen


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


class Rows:
    """A benchmark of VLMEvalKit's with one question a row."""

    dataset_name = "POPE"

    def __init__(self, count: int) -> None:
        self.data = pandas.DataFrame({"index": range(count), "question": "what"})

    def build_prompt(self, line: Any) -> list[dict[str, str]]:
        """Return the message of a row."""
        return [{"type": "text", "value": f"{line['question']} {line['index']}"}]


class Scripted:
    """An engine that answers, `together` at a time, and is killed after `most` answers."""

    def __init__(self, most: int, *, together: int = 1) -> None:
        self.most, self.together, self.asked = most, together, list[int]()

    def answers(self, questions: Any) -> Iterator[Answer]:
        for number, question in enumerate(questions):
            if number == self.most:
                os.kill(os.getpid(), signal.SIGKILL)
            self.asked.append(question.index)
            more = (number + 1) % self.together > 0
            note = {"index": str(question.index), "answer": [1]}
            yield Answer(question.index, f"answer {question.index}", note, more=more)


def inferred(made: Scripted, rows: Rows, folder: Path) -> dict[int, str]:
    """Do as infer_data() does: begin with what is saved, and ask for the rest."""
    from vlmeval.smp import load

    results = load(str(folder / "out.pkl")) if (folder / "out.pkl").exists() else {}
    rest = rows.data[~rows.data["index"].isin(results)]
    model = SimpleNamespace(_vldock_engine=made)
    assert vlmeval_loop.answer_rows(
        model, rows, rest, results, folder=str(folder), name="m", out_file=str(folder / "out.pkl")
    )
    return results


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # VLMEvalKit's own load() and dump()
def test_answers_that_are_found_together_are_saved_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vlmeval.smp

    dump, saved = vlmeval.smp.dump, list[int]()

    def counted(data: Any, path: str) -> None:
        saved.append(len(data))
        dump(data, path)

    monkeypatch.setattr(vlmeval.smp, "dump", counted)

    inferred(Scripted(99, together=3), Rows(7), tmp_path)

    assert saved == [3, 6, 7]  # the seventh said that another follows, and was the last


def test_only_the_last_of_a_step_s_answers_says_that_none_follows(wrapper: Any, asked: list[Question]) -> None:
    found = list(engine(wrapper, 5).answers(asked))

    assert not found[-1].more
    assert 0 < sum(answer.more for answer in found) < len(found) - 1


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # VLMEvalKit's own load() and dump()
def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    rows, again = Rows(7), Scripted(99)
    process = os.fork()
    if process == 0:
        inferred(Scripted(4), rows, tmp_path)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL

    found = inferred(again, rows, tmp_path)

    assert again.asked == [4, 5, 6]
    assert found == {index: f"answer {index}" for index in range(7)}
    assert sample_notes.read(tmp_path / "m_POPE_prompts.jsonl").keys() == {str(index) for index in range(7)}
