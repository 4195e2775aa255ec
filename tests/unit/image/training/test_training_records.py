"""Fine-tuning's records: every flaw is named by its row with a cure, in one pass; some can be accepted."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import flower_dataset

from vldock.image.training import config, dataset
from vldock.image.training.data import records
from vldock.image.training.data.conversations import ROLES
from vldock.image.training.data.problems import AS_LLAVA, REMEDIES, DataRefused

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
