"""Oxford Flowers 102: names in the order of labels, the original archive, and questions about a flower."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import flower_dataset

from vldock.common.errors import InputRefused
from vldock.image.training import config, dataset
from vldock.image.training.data import flower_names, flower_questions, oxford_flowers
from vldock.image.training.data import images as training_images
from vldock.image.training.data.problems import DataRefused


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
