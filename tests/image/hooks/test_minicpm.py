"""MiniCPM-V 2.6 in VLMEvalKit's wrapper: answers begin with text, picture sizes depend on the sample alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stub_remote_code import ANSWER

from vldock.image.vlmeval_hooks.models import minicpm
from vldock.image.vlmeval_hooks.provenance import prompts

pytest_plugins = ["remote_code_fixture"]
Message = list[dict[str, str]]


@pytest.fixture
def wrapper(load: Callable[[str], Any]) -> Any:
    return load("MiniCPM_V_2_6")


@pytest.fixture
def messages(tmp_path: Path) -> list[Message]:
    """Six questions about pictures of their own."""
    found = []
    for shade in range(6):
        Image.new("RGB", (60, 40), (shade, 0, 0)).save(tmp_path / f"{shade}.png")
        found.append([{"type": "image", "value": str(tmp_path / f"{shade}.png")}, {"type": "text", "value": "What?"}])
    return found


def sizes(wrapper: Any, messages: list[Message], benchmark: str = "MMStar") -> list[tuple[int, int]]:
    """Return the sizes of the pictures that the model receives."""
    wrapper.model.asked.clear()
    for message in messages:
        wrapper.generate([dict(item) for item in message], dataset=benchmark)
    return [asked["msgs"][0]["content"][0].size for asked in wrapper.model.asked]


def test_an_answer_begins_with_text(wrapper: Any, question: Message) -> None:
    assert wrapper.generate(question, dataset="POPE") == ANSWER


def test_pictures_are_as_large_after_another_benchmark_as_alone(wrapper: Any, messages: list[Message]) -> None:
    alone = sizes(wrapper, messages)
    sizes(wrapper, messages, "MMBench_DEV_EN")

    assert sizes(wrapper, messages) == alone
    assert len(set(alone)) > 1


def test_a_resumed_or_divided_run_has_the_same_sizes(wrapper: Any, messages: list[Message]) -> None:
    whole = sizes(wrapper, messages)

    assert sizes(wrapper, messages[4:]) == whole[4:]
    assert sizes(wrapper, messages[::2]) == whole[::2]


def test_benchmarks_differ_in_sizes(wrapper: Any, messages: list[Message]) -> None:
    assert sizes(wrapper, messages, "MMStar") != sizes(wrapper, messages, "MMBench_DEV_EN")


def test_the_process_s_own_random_numbers_are_not_touched(wrapper: Any, messages: list[Message]) -> None:
    before = random.getstate()
    sizes(wrapper, messages)

    assert random.getstate() == before


def test_the_folder_of_an_image_does_not_matter(tmp_path: Path, question: Message) -> None:
    (tmp_path / "moved").mkdir()
    moved = Path(question[0]["value"]).rename(tmp_path / "moved" / "red.png")
    first = minicpm.seed_sizes([{"type": "image", "value": str(moved)}, question[1]], "MMStar").random()
    second = Path(moved).rename(tmp_path / "again.png")

    assert minicpm.seed_sizes([{"type": "image", "value": str(second)}, question[1]], "MMStar").random() == first


def test_a_sample_s_note_has_its_seed(wrapper: Any, messages: list[Message]) -> None:
    with prompts.capture() as note:
        sizes(wrapper, messages[:1])

    assert isinstance(note["seed"], int)


def test_the_answer_of_a_language_model_with_another_start_token_is_noted(
    wrapper: Any, messages: list[Message]
) -> None:
    watched = prompts.watch(wrapper)
    wrapper.model.llm.generation_config.bos_token_id = 1

    with prompts.capture() as note:
        sizes(watched, messages[:1])

    assert note["special_token"] == "<|endoftext|>"
