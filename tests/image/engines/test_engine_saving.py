"""Answers of an engine are saved as they come, and a killed run goes on from them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
from engine_answers import WRAPPER_WARNINGS, engine

from vldock.image.answering.types import Answer, Question
from vldock.image.engines import vlmeval_loop
from vldock.image.vlmeval_hooks.provenance import sample_notes

pytestmark = WRAPPER_WARNINGS


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
    """Return the results of infer_data(): saved ones, and the engine's answers to the rest."""
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
