"""CogVLM's stand-in, its remote code: prompt layout, preprocessing, decoding, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from vldock.image.remote_standins import cogvlm
from vldock.image.vlmeval_hooks.process import cpu_attention

QUESTION = "What is it?"
TEXT = f"Question: {QUESTION} Answer:"


@pytest.fixture(scope="module", autouse=True)
def attention() -> Iterator[None]:
    """xformers' attention on a CPU."""
    import xformers.ops

    stock = xformers.ops.memory_efficient_attention
    cpu_attention.install()
    yield
    xformers.ops.memory_efficient_attention = stock


@pytest.fixture(scope="module")
def model() -> Any:
    """The untrained model: it says "unsure"."""
    return cogvlm.build(cogvlm.STANDINS[0])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """vicuna's stand-in."""
    from transformers import LlamaTokenizer

    return LlamaTokenizer.from_pretrained(cogvlm.write_further(tmp_path_factory.mktemp("hub")))


def picture() -> Image.Image:
    """Return a picture that is neither square nor symmetric."""
    picture = Image.new("RGB", (90, 60), (200, 40, 10))
    picture.paste((0, 0, 255), (0, 0, 30, 20))
    return picture


def ask(model: Any, tokenizer: Any, **options: Any) -> Any:
    """Return what generate() takes, in a batch of one."""
    inputs = model.build_conversation_input_ids(tokenizer, query=QUESTION, history=[], images=[picture()], **options)
    batch = {name: inputs[name][None] for name in ("input_ids", "token_type_ids", "attention_mask")}
    return {**batch, "images": [[inputs["images"][0].to(model.dtype)]]}


def test_a_prompt_is_bos_image_places_and_the_question(model: Any, tokenizer: Any) -> None:
    inputs = model.build_conversation_input_ids(tokenizer, query=QUESTION, history=[], images=[picture()])

    text = tokenizer.encode(TEXT, add_special_tokens=False)
    assert inputs["input_ids"].tolist() == [1, *[0] * 51, *text]
    assert inputs["token_type_ids"].tolist() == [0, *[1] * 51, *[0] * len(text)]
    assert inputs["attention_mask"].tolist() == [1] * (52 + len(text))


def test_a_text_only_prompt_has_no_image_places(model: Any, tokenizer: Any) -> None:
    inputs = model.build_conversation_input_ids(tokenizer, query=QUESTION)

    assert inputs["input_ids"].tolist() == tokenizer.encode(TEXT)
    assert inputs["token_type_ids"].sum() == 0


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("chat", f"Question: a Answer: b\nQuestion: {QUESTION} Answer:"),
        ("vqa", f"Question: a Short answer: b\nQuestion: {QUESTION} Short answer:"),
        ("base", QUESTION),
    ],
)
def test_a_template_words_history_and_question(version: str, text: str, model: Any, tokenizer: Any) -> None:
    inputs = model.build_conversation_input_ids(
        tokenizer, query=QUESTION, history=[("a", "b")], template_version=version
    )

    assert tokenizer.decode(inputs["input_ids"], skip_special_tokens=True) == text


def test_an_image_becomes_490_pixels_a_side_as_clip_has_them(model: Any, tokenizer: Any) -> None:
    pixels = ask(model, tokenizer)["images"][0][0]

    assert pixels.shape == (3, 490, 490)
    expected = (torch.tensor([200, 40, 10]) / 255 - torch.tensor([0.481, 0.458, 0.408])) / torch.tensor(
        [0.269, 0.261, 0.276]
    )
    torch.testing.assert_close(pixels[:, -1, -1], expected, atol=0.01, rtol=0)


def test_two_images_are_refused(model: Any, tokenizer: Any) -> None:
    with pytest.raises(AssertionError, match="one image"):
        model.build_conversation_input_ids(tokenizer, query=QUESTION, images=[picture(), picture()])


def test_image_places_without_an_image_are_refused(model: Any, tokenizer: Any) -> None:
    inputs = {**ask(model, tokenizer), "images": None}

    with pytest.raises(AssertionError, match="51 vision tokens and no image"):
        model.generate(**inputs, max_length=2048, do_sample=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"use_cache": False}], ids=["cache", "no cache"])
def test_an_untrained_model_is_unsure(dtype: torch.dtype, options: dict[str, Any], model: Any, tokenizer: Any) -> None:
    inputs = ask(model.to(dtype), tokenizer)

    said = model.generate(**inputs, max_length=2048, do_sample=False, **options)
    model.float()

    assert tokenizer.decode(said[0, inputs["input_ids"].shape[1] :]) == "unsure</s>"


def test_a_snapshot_holds_what_loading_reads(model: Any, tmp_path: Path) -> None:
    cogvlm.write_snapshot(cogvlm.STANDINS[0], model, tmp_path)

    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert {path.name for path in tmp_path.iterdir()} == {
        *cogvlm.CODE, "config.json", "generation_config.json", "model.safetensors",
    }  # fmt: skip
    assert config["auto_map"]["AutoModelForCausalLM"] == "modeling_cogvlm.CogVLMForCausalLM"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2.5e6
