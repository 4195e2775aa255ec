"""Fine-tuning's data: every flaw is named by its row with a cure, in one pass; splits and questions follow a seed."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import flower_dataset

from vldock.common.errors import InputRefused, UsageError
from vldock.image.training import config, dataset
from vldock.image.training.data import flower_names, flower_questions, oxford_flowers, records, split
from vldock.image.training.data import images as training_images
from vldock.image.training.data.conversations import ROLES
from vldock.image.training.data.problems import AS_LLAVA, CONVERTIBLE, REMEDIES, DataRefused

ASK = {"from": "human", "value": "<image>\nWhat is it?"}
ANSWER = {"from": "gpt", "value": "A rose."}
TEXT = ASK["value"]


def row(**changes: Any) -> dict[str, Any]:
    """Return a good record with `changes`; None removes a key."""
    made = {"id": "one", "image": "good.jpg", "conversations": [ASK, ANSWER], **changes}
    return {name: value for name, value in made.items() if value is not None}


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": role, "value": text} for role, text in pairs]


BROKEN_ROWS: dict[str, Any] = {
    "not-a-record": "text",
    "missing-key": row(conversations=None),
    "wrong-type": row(conversations=[{"from": "human", "value": 3}, ANSWER]),
    "unknown-role": row(conversations=turns(("user", "<image>\na"), ("gpt", "b"))),
    "role-order": row(conversations=turns(("gpt", "b"), ("human", "<image>\na"))),
    "empty-answer": row(conversations=turns(("human", "<image>\na"), ("gpt", "  "))),
    "empty-question": row(conversations=turns(("human", "<image>"), ("gpt", "b"))),
    "image-count": row(conversations=turns(("human", "<image> <image> a"), ("gpt", "b"))),
    "outside": row(image="../../etc/passwd"),
}


def write(folder: Path, rows: list[Any]) -> config.Data:
    flower_dataset.square(folder / "good.jpg", 7)
    (folder / "data.json").write_text(json.dumps(rows))
    return config.Data(source="json", path=str(folder / "data.json"), max_pixels=80_000)


@pytest.mark.parametrize("kind", BROKEN_ROWS)
def test_a_broken_row_is_refused_by_its_number_with_a_cure(tmp_path: Path, kind: str) -> None:
    data = write(tmp_path, [row(id="fine"), BROKEN_ROWS[kind]])

    with pytest.raises(DataRefused) as refused:
        dataset.load(data)

    assert [(flaw.row, flaw.kind) for flaw in refused.value.flaws] == [(2, kind)]
    assert "row 2" in refused.value.message
    assert REMEDIES[kind] in refused.value.message
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("kind", flower_dataset.BROKEN)
def test_a_broken_image_is_refused_by_its_row_with_a_cure(tmp_path: Path, kind: str) -> None:
    data = write(tmp_path, [row(id="fine"), row(id="bad", image="bad.img")])
    flower_dataset.BROKEN[kind](tmp_path / "bad.img")

    with pytest.raises(DataRefused) as refused:
        dataset.load(data)

    assert [(flaw.row, flaw.id, flaw.kind) for flaw in refused.value.flaws] == [(2, "bad", kind)]
    assert "bad.img" in refused.value.message
    assert REMEDIES[kind] in refused.value.message


def test_all_flaws_are_found_in_one_pass(tmp_path: Path) -> None:
    images = [row(id=kind, image=f"{kind}.img") for kind in flower_dataset.BROKEN]
    data = write(tmp_path, [*BROKEN_ROWS.values(), *images, row(id="twice"), row(id="twice")])
    for kind, make in flower_dataset.BROKEN.items():
        make(tmp_path / f"{kind}.img")

    with pytest.raises(DataRefused) as refused:
        dataset.load(data)

    assert {flaw.kind for flaw in refused.value.flaws} == {*BROKEN_ROWS, *flower_dataset.BROKEN, "duplicate-id"}


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [('[{"id": 1,]', "not-json", "line 1 column 11"), ('{"id": 1}', "not-a-list", "dict"), (None, "missing-file", "")],
    ids=["broken JSON", "no list", "no file"],
)
def test_a_file_that_is_no_list_of_records_is_row_0(tmp_path: Path, text: str | None, kind: str, said: str) -> None:
    if text is not None:
        (tmp_path / "data.json").write_text(text)

    found, flaws = records.read(tmp_path / "data.json", tmp_path)

    assert (found, [(flaw.row, flaw.kind) for flaw in flaws]) == ([], [(0, kind)])
    assert said in flaws[0].detail


MIX: dict[str, tuple[list[Any], list[tuple[str, list[str], int]]]] = {
    # accepted kind -> (rows, [(id, the turns trained on, how many pictures)])
    "duplicate-id": ([row(), row()], [("one", [TEXT, "A rose."], 1), ("one (row 2)", [TEXT, "A rose."], 1)]),
    "gpt-first": ([row(conversations=[ANSWER, ASK, ANSWER])], [("one", [TEXT, "A rose."], 1)]),
    "missing-file": ([row(), row(id="two", image="no.jpg")], [("one", [TEXT, "A rose."], 1)]),
    "image-count": (
        [
            row(conversations=turns(("human", "a <image> b <image>"), ("gpt", "c"))),
            row(id="again", conversations=turns(*zip(ROLES * 2, ("<image>a", "b", "<image>c", "d"), strict=True))),
            row(id="told", conversations=turns(("human", "<image>\na"), ("gpt", "an <image> tag"))),
            row(id="unasked", conversations=turns(("human", "a"), ("gpt", "b"))),
            row(id="text", image=None, conversations=turns(("human", "What is <image>?"), ("gpt", "A tag."))),
        ],
        [
            ("one", ["<image>\na  b", "c"], 1),
            ("again", ["<image>\na", "b", "c", "d"], 1),
            ("told", ["<image>\na", "an  tag"], 1),
            ("unasked", ["a", "b"], 0),
            ("text", ["What is <image>?", "A tag."], 0),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", AS_LLAVA)
def test_what_llava_trains_on_is_refused_with_the_setting_that_accepts_it(tmp_path: Path, kind: str) -> None:
    data = write(tmp_path, MIX[kind][0])

    with pytest.raises(DataRefused) as refused:
        dataset.load(data)

    assert {flaw.kind for flaw in refused.value.flaws} == {kind}
    assert f"data.accept=[{kind}]" in refused.value.message
    assert f"or accept with data.accept=[{kind}], then" in str(refused.value.hint)


@pytest.mark.parametrize("kind", AS_LLAVA)
def test_what_is_accepted_is_trained_on_as_llava_does_and_counted(tmp_path: Path, kind: str) -> None:
    rows, wanted = MIX[kind]
    data = write(tmp_path, rows)

    found = dataset.load(dataclasses.replace(data, accept=(kind,), heldout_path=data.path))

    made = [(record.id, [turn.text for turn in record.turns], len(record.pictures)) for record in found.training]
    assert made == wanted
    assert found.accepted[kind] == 2 * (len(rows) if kind in ("gpt-first", "image-count") else 1)  # held out, too
    assert found.accepted.get("text-only", 0) == 2 * sum(count == 0 for _, _, count in wanted)


def test_several_pictures_with_another_number_of_markers_stay_refused(tmp_path: Path) -> None:
    data = write(tmp_path, [row(image=["good.jpg", "good.jpg"])])

    with pytest.raises(DataRefused, match="image-count: 2 images, 1 <image>"):
        dataset.load(dataclasses.replace(data, accept=AS_LLAVA))


def test_no_picture_is_on_both_sides_of_the_split(tmp_path: Path) -> None:
    for at in range(30):
        flower_dataset.square(tmp_path / f"{at}.jpg", 8 * at)
        shutil.copy(tmp_path / f"{at}.jpg", tmp_path / f"copy-{at}.jpg")
    names = [name for at in range(30) for name in (f"{at}.jpg", f"{at}.jpg", f"copy-{at}.jpg", f"{at}.jpg")]
    data = write(tmp_path, [row(id=str(at), image=name) for at, name in enumerate(names)])

    found = dataset.load(data)

    trained, out = (
        {p.path.name.removeprefix("copy-") for r in part for p in r.pictures}
        for part in (found.training, found.heldout)
    )  # type: ignore[attr-defined]
    assert (len(found.training), len(found.heldout)) == (108, 12)
    assert (len(trained), len(out), trained & out) == (27, 3, set())
    assert dataset.load(data) == found


@pytest.mark.parametrize("seed", range(8))
def test_records_that_share_pictures_in_a_chain_stay_together(seed: int) -> None:
    chain = [("a", "b"), ("e",), ("b", "d"), ("f",), ("d", "c"), ("c", "a"), ("g",)]

    kept, out = split.hold_out(chain, 0.5, group=lambda item: "", seed=seed, parts=lambda item: item)

    sides = [{name for item in side for name in item} for side in (kept, out)]
    assert sides[0] & sides[1] == set()
    assert sides[0] | sides[1] == {*"abcdefg"}
    assert all(sides)


def test_data_with_a_picture_of_its_own_for_each_record_keeps_its_split() -> None:
    items = [f"{at}" for at in range(40)]

    found = [
        split.hold_out(items, 0.1, group=lambda item: str(int(item) % 3), seed=7, parts=parts)
        for parts in (lambda item: (), lambda item: (item,))
    ]

    assert found[0] == found[1]
    assert found[0][1] == ["3", "17", "20", "31", "36", "37"]  # as it was when nothing was told of pictures


@pytest.mark.parametrize("kind", CONVERTIBLE)
def test_what_is_accepted_becomes_8_bit_rgb_as_a_person_sees_it(tmp_path: Path, kind: str) -> None:
    flower_dataset.BROKEN[kind](tmp_path / "x.img")
    picture = training_images.FilePicture(tmp_path / "x.img")

    image = training_images.read_rgb(picture, accept=(kind,))

    assert training_images.examine(picture, accept=(kind,)) == []
    assert image.mode == "RGB"
    assert kind != "exif-rotated" or image.size == (24, 16)
    assert kind != "16-bit" or image.getpixel((0, 0))[0] == round(40000 / 65535 * 255)


def test_an_image_at_the_limit_is_fine_and_one_over_it_is_not_decoded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("L", (100, 100)).save(stream, "PNG")
    (tmp_path / "x.png").write_bytes(stream.getvalue()[:60])  # a header, and no pixels
    picture = training_images.FilePicture(tmp_path / "x.png")

    assert [one.kind for one in training_images.examine(picture, max_pixels=10_000)] == ["corrupt"]
    assert [one.kind for one in training_images.examine(picture, max_pixels=9_999)] == ["huge"]


def test_the_flowers_are_the_102_of_the_data_set_in_the_order_of_their_labels() -> None:
    assert (len(flower_names.NAMES), len(set(flower_names.NAMES))) == (102, 102)
    assert [flower_names.name_of(label) for label in (1, 54, 102)] == ["pink primrose", "sunflower", "blackberry lily"]
    assert (flower_names.name_of(0), flower_names.name_of(103)) == (None, None)


@pytest.mark.parametrize("packed", [False, True], ids=["jpg folder", "102flowers.tgz"])
def test_the_original_archive_becomes_named_flowers_in_its_own_splits(tmp_path: Path, packed: bool) -> None:
    folder = flower_dataset.archive(
        tmp_path / "f", [54, 74, 54], {"trnid": [3, 1], "valid": [2], "tstid": []}, packed=packed
    )

    found = oxford_flowers.from_archive(folder)

    assert found.flaws == ()
    assert {name: [(f.row, f.name) for f in part] for name, part in found.splits.items()} == {
        "train": [(3, "sunflower"), (1, "sunflower")],
        "validation": [(2, "rose")],
    }
    assert all(f.picture.read() for part in found.splits.values() for f in part)


def test_a_label_without_a_class_and_an_image_without_a_label_are_named(tmp_path: Path) -> None:
    folder = flower_dataset.archive(tmp_path / "f", [54, 103], {"trnid": [1, 2, 9], "valid": [], "tstid": []})

    with pytest.raises(DataRefused) as refused:
        dataset.load(config.Data(source="archive", path=str(folder)))

    assert [(flaw.row, flaw.kind) for flaw in refused.value.flaws] == [(2, "no-class"), (9, "no-label")]


def test_an_archive_without_its_labels_is_refused_with_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"imagelabels\.mat is not there"):
        oxford_flowers.from_archive(tmp_path)


def test_a_sample_keeps_the_proportions_and_follows_its_seed() -> None:
    items = [f"{group}{number}" for group, count in (("a", 40), ("b", 10), ("c", 1)) for number in range(count)]

    drawn = split.sample(items, 0.1, group=lambda item: item[0], seed=3)

    assert Counter(item[0] for item in drawn) == {"a": 4, "b": 1, "c": 1}
    assert drawn == split.sample(items, 0.1, group=lambda item: item[0], seed=3)
    assert drawn != split.sample(items, 0.1, group=lambda item: item[0], seed=4)
    assert split.sample(items, 1.0, group=lambda item: item[0], seed=3) == items


def test_held_out_items_are_of_every_group_and_none_is_trained_on() -> None:
    items = [f"{group}{number}" for group in "ab" for number in range(10)] + ["c0"]

    kept, out = split.hold_out(items, 0.2, group=lambda item: item[0], seed=0)

    assert Counter(item[0] for item in out) == {"a": 2, "b": 2}
    assert sorted(kept + out) == sorted(items)


def test_questions_about_a_flower_have_its_answer(tmp_path: Path) -> None:
    flower = flower_questions.Flower(1, "x", training_images.FilePicture(tmp_path / "x.jpg"), "rose")
    names = ("daffodil", "rose", "sunflower", "tiger lily", "lotus")

    name, choice, yes_no = flower_questions.records(
        [flower], kinds=flower_questions.KINDS, names=names, choices=3, seed=0
    )

    assert name.answer == "rose"
    assert f"\n{choice.answer}. rose\n" in choice.question
    options = [line[3:] for line in choice.question.splitlines() if line[1:3] == ". "]
    assert (len(options), options) == (3, sorted(options))
    assert (yes_no.answer == "yes") == ("a rose?" in yes_no.question)
    assert all(record.turns[0].text.count("<image>") == 1 for record in (name, choice, yes_no))


def test_the_defaults_are_those_of_the_flower_training() -> None:
    train, model = config.Train(), config.Model()

    assert (train.batch_size, train.accumulation, train.learning_rate, train.clip) == (1, 16, 1e-5, 0.5)
    assert (train.precision, train.gradient_checkpointing, train.gpu_memory_fraction) == ("fp16", True, 0.9)
    assert (model.method, train.log_every, config.Data().sample_fraction) == ("qlora", 10, 1.0)


def test_words_override_a_file_and_the_resolved_configuration_reads_back(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("train: {epochs: 3, learning_rate: 1e-4}\ndata: {accept: cmyk}\n")

    made = config.load(tmp_path / "c.yaml", ["train.epochs=5", "model.method=lora"])
    (tmp_path / "again.yaml").write_text(made.to_yaml())

    assert (made.train.epochs, made.train.learning_rate, made.data.accept) == (5.0, 1e-4, ("cmyk",))
    assert config.load(tmp_path / "again.yaml") == made


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("train.epoch=3", "did you mean train.epochs"),
        ("model.method=lorra", "qlora or lora"),
        ("train.batch_size=0", "1 to 4096"),
        ("train.batch_size=two", "type int"),
        ("data.accept=[sepia]", "cmyk"),
        ("train=3", "a section"),
        ("nonsense", "KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_told_with_what_is_right(word: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        config.load(None, [word])

    assert said in refused.value.render()


@pytest.mark.parametrize("out", ["run", "/tmp/run", "checkpoints/../run"])
def test_a_run_that_would_go_with_its_container_is_refused(out: str) -> None:
    with pytest.raises(UsageError, match="removed with the container") as refused:
        dataset.out_folder(out, {"VLDOCK_CHECKPOINTS": "/workspace/checkpoints"})

    assert "out=checkpoints/run" in refused.value.render()


@pytest.mark.parametrize("out", ["checkpoints/run", "/workspace/checkpoints/run"])
def test_a_run_below_the_mounted_folder_stays(out: str) -> None:
    environ = {"VLDOCK_CHECKPOINTS": "/workspace/checkpoints"}

    assert dataset.out_folder(out, environ) == dataset.out_folder(out, {}) == Path("/workspace/checkpoints/run")
