"""Models with remote code in predict: which names mean one, and what their wrappers do not take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.common.matrix import MODELS, find_model
from vldock.image.predict import remote_code_wrappers
from vldock.image.predict.request import Request
from vldock.image.workspace.model_location import ModelLocation

COGVLM, INTERNVL, MINICPM = (find_model(name) for name in ("cogvlm-chat", "InternVL2-2B", "MiniCPM-V-2_6"))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_is_found_by_name_repository_and_snapshot_unless_it_is_a_llava(model) -> None:
    places = [
        ModelLocation(model.name, "x", "the cache"),
        ModelLocation(model.repo, "x", "weights/ of the workspace"),
        ModelLocation("/cache/snapshots/1", "x", "a snapshot", "1", model.repo),
        ModelLocation(f"/data/{Path(model.repo).name}", "x", "the folder given"),
    ]

    assert {remote_code_wrappers.find(place) for place in places} == {model if model.remote_code else None}


def test_a_llava_in_a_folder_of_another_models_name_is_a_llava(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava_llama"}))

    assert remote_code_wrappers.find(ModelLocation("InternVL2-2B", str(tmp_path), "weights/ of the workspace")) is None


@pytest.mark.parametrize(
    ("model", "count", "words"),
    [
        (COGVLM, 0, "answers about an image, and there is none"),
        (COGVLM, 2, "reads one image, and there are 2"),
        (INTERNVL, 0, "answers about an image, and there is none"),
    ],
)
def test_a_number_of_images_the_wrapper_would_fail_on_or_drop_is_refused(model, count: int, words: str) -> None:
    with pytest.raises(UsageError, match=f"{model.name} {words}"):
        remote_code_wrappers.require_images(model, Request("what?", ("a.png",) * count))


@pytest.mark.parametrize(("model", "count"), [(COGVLM, 1), (INTERNVL, 1), (INTERNVL, 3), (MINICPM, 0), (MINICPM, 3)])
def test_every_other_number_of_images_is_asked(model, count: int) -> None:
    remote_code_wrappers.require_images(model, Request("what?", ("a.png",) * count))


@pytest.mark.parametrize(
    ("model", "question", "moved"),
    [
        (COGVLM, "in <image> what?", True),
        (INTERNVL, "what? <image>", True),
        (INTERNVL, "<image> what?", False),
        (INTERNVL, "what?", False),
        (MINICPM, "in <image> what?", False),
    ],
)
def test_an_image_that_the_wrapper_moves_is_remarked(model, question: str, moved: bool) -> None:
    found = remote_code_wrappers.remark_order(model, Request(question, ("a.png",)))

    assert [f"{model.name} reads a lone image before the text" in remark for remark in found] == [True] * moved


@pytest.mark.parametrize(
    ("options", "words"),
    [({"base": "7b", "prompt": None}, "--model-base 7b"), ({"base": None, "prompt": "llava"}, "--prompt llava")],
)
def test_an_option_of_llavas_only_is_refused_by_name(options: dict[str, str | None], words: str) -> None:
    with pytest.raises(UsageError, match=f"{words}: InternVL2-2B is no LLaVA"):
        remote_code_wrappers.require_options(INTERNVL, **options)


def test_vlmevalkits_wording_may_be_asked_for_by_name() -> None:
    remote_code_wrappers.require_options(INTERNVL, base=None, prompt="vlmevalkit")


@pytest.mark.parametrize(
    ("decoding", "prompt", "remarked"),
    [
        ({"max_length": 2048}, 2040, True),
        ({"max_length": 2048}, 2050, True),
        ({"max_length": 2048}, 1251, False),
        ({"max_length": 2048, "max_new_tokens": 9}, 2050, False),
        ({"max_new_tokens": 9}, 2050, False),
    ],
)
def test_an_answer_that_its_prompt_left_no_room_is_remarked(
    decoding: dict[str, int], prompt: int, remarked: bool
) -> None:
    found = remote_code_wrappers.remark_room(decoding, prompt=prompt, answer=8)

    assert [f"{prompt} of them the prompt's: the answer ends after 8" in remark for remark in found] == [
        True
    ] * remarked
