"""Thumbnails: each once, within a budget, only from the TSV the cell was made from."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from support.builders import a_cell, a_plan

from vldock.host.reports import thumbnails
from vldock.host.reports.thumbnails import STANDIN_DATA, Album


def encoded(size: tuple[int, int] = (40, 30), colour: str = "red") -> str:
    made = io.BytesIO()
    Image.new("RGBA", size, colour).save(made, "PNG")
    return base64.b64encode(made.getvalue()).decode()


def test_a_large_picture_becomes_a_small_jpeg_of_the_same_shape() -> None:
    uri = thumbnails.thumbnail(encoded((2000, 1000)))

    assert uri is not None
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (288, 144))


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"no picture").decode()])
def test_what_is_no_picture_is_left_out(text: str) -> None:
    assert thumbnails.thumbnail(text) is None


def test_an_album_holds_each_picture_once_and_ends_at_its_budget() -> None:
    album = Album(budget=len(thumbnails.thumbnail(encoded()) or "") + 10)

    keys = [album.add(encoded()), album.add(encoded()), album.add(encoded(colour="blue"))]

    assert keys == ["p0", "p0", None]
    assert (len(album.uris), album.left_out) == (1, 1)


def test_a_row_that_points_at_another_rows_picture_gets_it() -> None:
    found = thumbnails.read_pictures(STANDIN_DATA / "MMBench_DEV_EN.tsv", ["1000241", "241"])

    assert found["1000241"] == found["241"]
    assert len(found["241"][0]) > 1000


def test_a_row_may_have_two_pictures() -> None:
    assert len(thumbnails.read_pictures(STANDIN_DATA / "BLINK.tsv", ["0"])["0"]) == 2


@pytest.mark.parametrize(
    ("plan", "cell", "reason"),
    [
        ({"standin": False}, {"standin": False}, "no --data"),
        ({"data": "/nowhere"}, {}, "there is no POPE.tsv any more"),
        ({}, {"identity": {"tsv_md5": "0" * 32}}, "not the one this cell was made from"),
        ({}, {"started": "2001-01-01T00:00:00+00:00"}, "is younger than this cell"),
    ],
    ids=["data gone", "file gone", "another file", "younger file"],
)
def test_pictures_of_other_data_are_not_shown(plan: dict[str, object], cell: dict[str, object], reason: str) -> None:
    path, why = thumbnails.find_tsv(a_plan(**plan), a_cell(**cell))

    assert path is None
    assert reason in (why or "")


def test_a_torn_list_of_pictures_is_no_picture(tmp_path: Path) -> None:
    tsv = tmp_path / "x.tsv"
    tsv.write_text("index\timage\n0\t['" + "A" * 100 + "\n")

    assert thumbnails.read_pictures(tsv, ["0"]) == {"0": []}
