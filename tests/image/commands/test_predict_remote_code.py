"""predict asks a model with remote code through VLMEvalKit's wrapper, with the fields and exit codes of a LLaVA."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import stub_wrapper as stub
import torch
from PIL import Image
from safetensors.torch import save_file

from vldock.image.__main__ import main
from vldock.image.predict import model as predict
from vldock.image.predict.request import Request
from vldock.image.vlmeval_hooks.provenance import sample_notes

NAME = "InternVL2-2B"
FIELDS = {"answer", "tokens", "prompt_tokens", "prompt", "prompt_sha256", "cut", "seconds", "model", "revision", "path",
          "device", "dtype", "standin", "notes", "load_seconds"}  # fmt: skip


@pytest.fixture(autouse=True)
def _stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare the stub as VLMEvalKit's InternVL2-2B, its weights in the workspace."""
    from vlmeval.config import supported_VLM

    folder = tmp_path / "weights" / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "internvl_chat"}))
    save_file({"none": torch.zeros(1)}, folder / "model.safetensors")
    monkeypatch.setenv("WORKSPACE_ROOT", str(tmp_path))
    monkeypatch.delenv("VLDOCK_STANDIN", raising=False)
    monkeypatch.setitem(supported_VLM, NAME, functools.partial(stub.Wrapper, model_path="OpenGVLab/InternVL2-2B"))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")


def ask(folder: Path, *words: str, model: str = NAME, images: int = 1) -> int:
    pictures = ["--image", str(folder / "a.png")] * images
    return main(["predict", "--model", model, *pictures, *words])


def test_one_object_has_the_fields_of_a_llavas_and_nothing_else_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, "--json", "what?") == 0
    out, err = capfd.readouterr()
    found = json.loads(out)

    assert set(found) == FIELDS
    assert (found["model"], found["path"], found["prompt"]) == (NAME, str(tmp_path / "weights" / NAME), "vlmevalkit")
    assert (found["tokens"], found["prompt_tokens"]) == (stub.MOST, len(stub.PROMPT))
    assert found["prompt_sha256"] == sample_notes.short_hash(list(stub.PROMPT))
    assert len(found["answer"].split()) == stub.MOST
    assert "InternVL model version" not in out + err


@pytest.mark.parametrize("beams", [1, 3])
def test_streamed_or_whole_the_pieces_and_tokens_are_the_answers(
    tmp_path: Path, beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = predict.load(NAME)
    monkeypatch.setattr(loaded.wrapper, "num_beams", beams)
    pieces: list[str] = []

    answer = loaded.ask(Request("what?", (str(tmp_path / "a.png"),)), on_text=pieces.append)

    assert (loaded.streams, len(pieces) > 1) == (beams == 1, beams == 1)
    assert "".join(pieces) == answer.answer
    assert answer.tokens == stub.MOST


def test_text_printed_as_it_comes_is_not_dropped_with_the_wrappers_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = predict.load(NAME).ask(
        Request("what?", (str(tmp_path / "a.png"),)), on_text=lambda text: print(text, end="")
    )

    assert capsys.readouterr().out == answer.answer


def test_an_answer_that_begins_with_a_special_token_is_remarked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub.Tokenizer, "all_special_tokens", ["word"], raising=False)

    answer = predict.load(NAME).ask(Request("what?", (str(tmp_path / "a.png"),)))

    assert answer.notes == ("the answer begins with 'word', a special token of the model's tokenizer",)


def test_beam_search_asked_to_stream_says_that_its_answer_comes_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub.Wrapper, "__init__", functools.partialmethod(stub.Wrapper.__init__, num_beams=3))

    assert ask(tmp_path, "--stream", "what?") == 0

    assert f"note: {NAME} decodes by beam search: its answer comes whole" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "images", "said"),
    [
        (["--prompt", "llava", "what?"], 1, "--prompt llava: InternVL2-2B is no LLaVA"),
        (["--model-base", "7b", "what?"], 1, "--model-base 7b: InternVL2-2B is no LLaVA"),
        (["what?"], 0, "InternVL2-2B answers about an image, and there is none"),
    ],
)
def test_what_the_wrapper_does_not_take_is_refused_before_a_load(
    tmp_path: Path, words: list[str], images: int, said: str, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(stub.Wrapper, "__init__", lambda *_, **__: pytest.fail("it was loaded"))

    assert ask(tmp_path, *words, images=images) == 2
    assert f"error: {said}" in capfd.readouterr().err


def test_a_file_of_questions_goes_on_and_a_row_it_cannot_ask_has_the_reason(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": "one", "image": "a.png", "question": "what?"},
        {"id": "none", "question": "what?"},
        {"id": "two", "image": ["a.png", "a.png"], "question": "which?"},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = ["predict", "--model", NAME, "--questions", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "a.jsonl")]

    assert main(command) == 1
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]

    assert ["answer" in row for row in rows] == [True, False, True]
    assert rows[1]["error"] == "InternVL2-2B answers about an image, and there is none"


def test_an_error_of_the_model_is_one_line_and_fails_its_row_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def decode(_: Any, ids: list[int]) -> str:
        raise RuntimeError("no kernel\nfor it")

    monkeypatch.setattr(stub.Tokenizer, "decode", decode)

    assert ask(tmp_path, "what?", "--no-stream") == 1
    assert capfd.readouterr().err.endswith(f"error: {NAME} gave no answer: RuntimeError: no kernel for it\n")


def test_max_new_tokens_reaches_the_wrapper_and_is_part_of_an_answers_key(tmp_path: Path) -> None:
    short, usual = predict.load(NAME, max_new_tokens=2), predict.load(NAME)

    assert len(short.ask(Request("what?", (str(tmp_path / "a.png"),))).answer.split()) == 2
    assert short.identity() != usual.identity()


def test_a_folder_replaces_the_repository_and_no_other_argument(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from vlmeval.config import supported_VLM

    made = functools.partial(stub.Wrapper, model_path="OpenGVLab/InternVL2-2B", num_beams=3)
    monkeypatch.setitem(supported_VLM, NAME, made)

    wrapper = predict.load(NAME).wrapper

    assert (wrapper.model_path, wrapper.num_beams) == (str(tmp_path / "weights" / NAME), 3)


def test_another_models_folder_is_refused_with_the_names_that_are_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights" / NAME).rename(tmp_path / "weights/qwen")

    assert ask(tmp_path, "what?", model="qwen") == 4
    said = capfd.readouterr().err
    assert "weights/qwen is no LLaVA by its config.json" in said
    assert "or one of InternVL2-2B, InternVL2-8B, MiniCPM-V-2_6, cogvlm-chat" in said
