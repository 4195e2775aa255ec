"""Prompt notes of any model: what is known is noted, and no note ends a sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vldock.image.vlmeval_hooks.provenance import passport, prompts, sample_notes

IDS = torch.tensor([[1, 5, 6, 7]])
QUESTION = [{"type": "text", "value": "Is it red?"}]


class Generates:
    """A model whose generate() takes anything and returns two more tokens."""

    def __init__(self, output: Any = None) -> None:
        self.output, self.calls = output, 0

    def generate(self, *_args: Any, **_kwargs: Any) -> Any:
        self.calls += 1
        return torch.tensor([[1, 5, 6, 7, 8, 9]]) if self.output is None else self.output


class Llava(Generates):
    """LLaVA's interface; its tower cannot be asked."""

    def get_vision_tower(self) -> Any:
        raise ValueError("the tower is not loaded")


@pytest.fixture(autouse=True)
def no_note_is_left() -> Iterator[None]:
    yield
    prompts.record_model({})
    prompts._pending.clear()


def ask(inner: Any, folder: Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the note of one sample answered by `inner`."""
    prompts.watch(SimpleNamespace(model=inner, generate=inner.generate))
    prompts.record_question(str(folder), "m", "POPE", 3, QUESTION)
    inner.generate(*args, **kwargs)
    prompts.flush()
    return prompts.read(prompts.path_of(folder, "m", "POPE"))["3"]


def test_a_model_that_nests_its_images_is_asked_and_noted(tmp_path: Path) -> None:
    note = ask(Generates(), tmp_path, input_ids=IDS, images=[[torch.zeros(3, 490, 490)]], max_length=2048)

    assert note["length"] == 4
    assert note["answer"] == [8, 9]
    assert note["pixels"] == {"images": [[[3, 490, 490]]]}
    assert note["generation"] == {"max_length": 2048}
    assert "unnoted" not in note


def test_a_note_that_raises_ends_no_sample_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = Llava()
    note = ask(inner, tmp_path, IDS, images=torch.zeros(1, 3, 8, 8))

    assert inner.calls == 1
    assert note["unnoted"] == "ValueError: the tower is not loaded"
    assert "sample 3: no full note: ValueError" in capsys.readouterr().err


def test_an_answer_of_texts_and_a_prompt_of_embeddings_are_answered(tmp_path: Path) -> None:
    note = ask(
        Generates(["yes"]), tmp_path, inputs_embeds=torch.zeros(1, 9, 4), pixel_values=torch.zeros(2, 3, 448, 448)
    )

    assert note["message"]
    assert note["pixels"] == {"pixel_values": [2, 3, 448, 448]}
    assert "unnoted" not in note


def test_an_image_of_another_size_is_another_prompt(tmp_path: Path) -> None:
    notes = [ask(Generates(), tmp_path, input_ids=IDS, pixel_values=[[torch.zeros(3, 14, n)]]) for n in (70, 84)]
    first, second = (passport.prompt_facts({"3": note}) for note in notes)

    assert first["sha256"] != second["sha256"]


def test_a_question_whose_image_is_gone_is_noted_without_it(tmp_path: Path) -> None:
    prompts.record_question(str(tmp_path), "m", "POPE", 4, [{"type": "image", "value": "/nowhere.png"}])
    prompts.flush()

    assert "FileNotFoundError" in prompts.read(prompts.path_of(tmp_path, "m", "POPE"))["4"]["unnoted"]


@pytest.mark.parametrize("text", ["Which of these? " * 40, "a\0b"])
def test_a_text_that_can_name_no_file_is_hashed_as_text(text: str) -> None:
    message = [{"type": "text", "value": text}]

    assert sample_notes.hash_images(message) == message
