"""What a training feeds the model: tiles and sizes, labels on the answers only, LLaVA's own tokens."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import training_fixture
from training_fixture import Box, encoded, size_of


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


def test_an_anyres_batch_has_tiles_and_the_size_of_every_image(box: Box) -> None:
    from vldock.image.training.data.batch import Collator

    _, data, encoder = encoded(box, "next")

    batch = Collator(0, anyres=True)([encoder(record) for record in data.training[:2]])

    sizes = [size_of(record) for record in data.training[:2]]
    assert batch["image_sizes"] == sizes
    assert all(image.shape[1:] == (3, 56, 56) and image.shape[0] > 1 for image in batch["images"])


def test_the_size_of_an_image_decides_which_features_the_model_keeps(box: Box) -> None:
    """Without image_sizes llava_arch.py fails; with a wrong one it unpads otherwise."""
    from vldock.image.training.data.batch import Collator

    loaded, data, encoder = encoded(box, "next")
    batch = Collator(0, anyres=True)([encoder(data.training[0])])

    width, height = size_of(data.training[0])
    right = loaded.inner(**batch).logits.shape[1]
    flat = loaded.inner(**{**batch, "image_sizes": [(width, height * 3 // 4)]}).logits.shape[1]

    assert flat != right
    with pytest.raises(TypeError):
        loaded.inner(**{**batch, "image_sizes": None})


def test_a_llava_1_5_batch_is_one_tensor(box: Box) -> None:
    from vldock.image.training.data.batch import Collator

    loaded, data, encoder = encoded(box, "plain")

    batch = Collator(0, anyres=loaded.anyres)([encoder(record) for record in data.training[:2]])

    assert tuple(batch["images"].shape) == (2, 3, 56, 56)
    assert float(loaded.model(**batch).loss) > 0


@pytest.mark.parametrize("template", ["llava_v1", "mistral_instruct"])
def test_labels_spell_the_answers_of_every_turn_and_nothing_else(box: Box, template: str) -> None:
    from llava.constants import IGNORE_INDEX

    from vldock.image.training.data.encode import encode_text
    from vldock.image.training.data.records import ConversationTurn

    loaded, _, _ = encoded(box, "next")
    turns = [
        ConversationTurn("human", "What is it?\n<image>"),
        ConversationTurn("gpt", "a rose"),
        ConversationTurn("human", "Sure?"),
        ConversationTurn("gpt", "yes"),
    ]

    ids, labels = encode_text(turns, loaded.tokenizer, template)

    spelt = loaded.tokenizer.decode([label for label in labels if label != IGNORE_INDEX], skip_special_tokens=True)
    assert spelt.split() == ["a", "rose", "yes"]
    assert labels.count(loaded.tokenizer.eos_token_id) == 2
    assert ids.count(-200) == 1


ODD = {
    "gpt first": ({"image": "x.png"}, ("gpt", "Hi."), ("human", "<image>\nWhat is it?"), ("gpt", "A rose.")),
    "two markers": ({"image": "x.png"}, ("human", "What <image> is <image> it?"), ("gpt", "A rose.")),
    "marker behind": ({"image": "x.png"}, ("human", "What is it?\n<image>"), ("gpt", "A rose.")),
    "no marker": ({"image": "x.png"}, ("human", "What is it?"), ("gpt", "A rose.")),
    "text only": ({}, ("human", "What is it?"), ("gpt", "A rose.")),
    "marker in text only": ({}, ("human", "What does <image> do?"), ("gpt", "It shows.")),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_row_that_is_accepted_is_the_tokens_llavas_own_training_makes(
    box: Box, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava import conversation
    from llava.train import train as theirs

    from vldock.image.training.data import encode, records
    from vldock.image.training.data import problems as data_problems

    about, *turns = ODD[kind]
    row = {"id": "1", **about, "conversations": [{"from": role, "value": text} for role, text in turns]}
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    (record,), _ = records.read(tmp_path / "rows.json", tmp_path, accept=data_problems.AS_LLAVA[:3])
    tokenizer = encoded(box, "next")[0].tokenizer

    ids, labels = encode.encode_text(record.turns, tokenizer, "llava_v1", images=bool(record.pictures))

    monkeypatch.setattr(conversation, "default_conversation", conversation.conv_templates["llava_v1"])
    said = [row["conversations"]]
    if "image" in row:
        said = theirs.preprocess_multimodal(said, SimpleNamespace(is_multimodal=True, mm_use_im_start_end=False))
    made = theirs.preprocess(said, tokenizer, has_image="image" in row)
    assert ids == made["input_ids"][0].tolist()
    assert labels == made["labels"][0].tolist()


def test_a_batch_in_pieces_has_the_loss_of_the_whole(box: Box) -> None:
    import torch

    from vldock.image.training.data.batch import Collator, split_batch

    loaded, data, encoder = encoded(box, "next")
    whole = Collator(0, anyres=True)([encoder(record) for record in data.training[:3]])
    loaded.model.eval()

    parts = split_batch(whole, 2)
    sum_of_parts = sum(float(loaded.model(**part).loss) * share for part, share in parts)

    assert [len(part["input_ids"]) for part, _ in parts] == [2, 1]
    assert sum_of_parts == pytest.approx(float(loaded.model(**whole).loss), rel=1e-5)
    assert torch.equal(parts[1][0]["images"][0], whole["images"][2])


def test_half_precision_is_float32_on_a_cpu_and_so_is_the_tower(box: Box) -> None:
    import torch

    loaded, _, _ = encoded(box, "next")

    assert loaded.precision == "fp32"
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_labels_of_a_hub_copy_are_read_by_their_names_and_not_by_their_order() -> None:
    """nelorth/oxford-flowers sorts the numbers as text: its class 1 is the original's 10."""
    import datasets
    from PIL import Image

    from vldock.image.training.data import oxford_flowers

    names = sorted(map(str, range(1, 103)))
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {"image": [Image.new("RGB", (9, 9))] * 2, "label": [0, 1]}
    hub = datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)})

    found = oxford_flowers.from_hub("x/y", load=lambda name: hub)

    assert [flower.name for flower in found.splits["train"]] == ["pink primrose", "globe thistle"]
    assert found.splits["train"][1].picture.read()[:4] == b"\x89PNG"
