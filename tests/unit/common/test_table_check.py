"""Table check: every problem in one pass with line and index; none in a sound table."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from support.benchmark_tables import picture, pixel, replace_line, row, write

import vldock
from vldock.common.tables import TableCheck, check_table
from vldock.image.vlmeval_hooks.files import table_images

STANDINS = sorted((Path(vldock.__file__).parent / "image/standin/assets/LMUData").glob("*.tsv"))


def look(path: Path, *, own: bool = True, limit: int | None = None, name: str | None = None) -> TableCheck:
    return check_table(
        path, name=name or path.stem, root=path.parent, own=own, decode=table_images.why_broken, limit=limit
    )


def found(seen: TableCheck) -> list[tuple[str, int, str | None]]:
    return [(flaw.kind, flaw.line, flaw.index) for flaw in seen.flaws]


@pytest.mark.parametrize("path", STANDINS, ids=lambda path: path.stem)
def test_a_stand_in_table_has_no_flaw(path: Path) -> None:
    assert len(STANDINS) == 24
    assert look(path, own=False).counts == {}


def test_twenty_flaws_are_named_in_one_pass_with_their_rows(tmp_path: Path) -> None:
    rows = [row(index) for index in range(1, 24)]
    rows[0] |= {"index": "n1"}
    rows[1] |= {"index": "n1"}  # line 3
    rows[2] |= {"index": "05"}
    rows[3] |= {"B": "null"}
    rows[4] |= {"index": "5"}  # line 6
    rows[5] |= {"image": "bm8gcGljdHVyZQ==" * 8}
    rows[6] |= {"A": "None", "answer": "B"}
    rows[7] |= {"B": "N/A"}
    rows[8] |= {"answer": "C"}
    rows[9] |= {"question": "What does <image> do?"}
    rows[10] |= {"image": picture()[:80]}
    rows[11] |= {"image": "n9"}
    rows[12] |= {"index": "../../x"}
    rows[13] |= {"image": f"['{picture()}', 'bm8=']"}
    rows[14] |= {"image": "[1, x]"}
    rows[15] |= {"index": ""}
    rows[16] |= {"index": "NA"}
    rows[17] |= {"image": ""}
    path = write(tmp_path / "Flawed.tsv", rows)
    for line, text in ((20, b"19\tx"), (21, b"20\t\0\tq\ta\tb\tA"), (22, b"21\t\xff\tq\ta\tb\tA"),
                       (23, b'22\tn1\t"What\ta\tb\tA')):  # fmt: skip
        replace_line(path, line, text)

    seen = found(look(path))

    flaws = {
        ("missing-word", 5, "4"),
        ("index-twice", 3, "n1"), ("index-twice", 6, "5"), ("picture-lost", 7, "6"), ("missing-word", 8, "7"),
        ("missing-word", 9, "8"), ("not-offered", 10, "9"), ("marker", 11, "10"), ("picture-lost", 12, "11"),
        ("reference", 13, "12"), ("path-outside", 14, "../../x"), ("picture-lost", 15, "14"), ("list", 16, "15"),
        ("index-empty", 17, None), ("index-empty", 18, None), ("no-picture", 19, "18"), ("ragged", 20, "19"),
        ("nul", 21, None), ("encoding", 22, None), ("quote", 23, None),
    }  # fmt: skip
    assert len(flaws) == 20
    assert flaws <= set(seen)
    assert look(path).refused


def test_a_row_swallowed_by_a_quote_is_still_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "T.tsv", [row(1), row(2), row(3, answer="C")])
    first = path.read_bytes().split(b"\n")[1].replace(b"What colour?", b'"What colour?')
    replace_line(path, 2, first)

    assert found(look(path)) == [("quote", 2, None), ("not-offered", 4, "3")]


@pytest.mark.parametrize("index", ["1", "1.0", "+1", " 1"])
def test_an_index_that_is_read_as_the_same_number_is_used_twice(tmp_path: Path, index: str) -> None:
    seen = look(write(tmp_path / "T.tsv", [row("01"), row(index)]))

    assert found(seen) == [("index-twice", 3, index)]
    assert "is read as '01' of line 2" in next(seen.lines())


def test_quoted_tabs_line_breaks_and_doubled_quotes_are_one_cell(tmp_path: Path) -> None:
    said = 'a table:\nx\ty\n"1"\t2\nwhich?'

    assert look(write(tmp_path / "T.tsv", [row(1, question=said), row(2)])).counts == {}


def test_a_carriage_return_in_a_cell_ends_the_row_as_it_does_for_pandas(tmp_path: Path) -> None:
    path = write(tmp_path / "T.tsv", [row(1), row(2)])
    replace_line(path, 2, path.read_bytes().split(b"\n")[1].replace(b"What colour?", b"What\rcolour?"))

    assert found(look(path))[0] == ("ragged", 2, "1")


@pytest.mark.parametrize("line_ending", [b"\r\n", b"\n"])
def test_a_byte_order_mark_and_either_line_ending_are_read(tmp_path: Path, line_ending: bytes) -> None:
    path = write(tmp_path / "T.tsv", [row(1), row(2)])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", line_ending))

    assert look(path).counts == {}


def test_utf_16_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "T.tsv"
    path.write_text("index\tquestion\n1\tx\n", encoding="utf-16")

    seen = look(path)

    assert seen.refused
    assert "UTF-16" in next(seen.lines())


def test_a_short_cell_is_another_rows_picture_a_small_picture_or_refused(tmp_path: Path) -> None:
    rows = [row(1), row(2, image="1"), row(3, image=pixel()), row(4, image="7"), row(5, image="2"), row(6, image="3")]

    assert found(look(write(tmp_path / "T.tsv", rows))) == [("reference", 5, "4"), ("reference", 6, "5")]


@pytest.mark.parametrize("image", [picture(), "1", ""], ids=["picture", "reference", "none"])
def test_a_path_that_leaves_the_folder_is_named_whatever_its_row_shows(tmp_path: Path, image: str) -> None:
    rows = [row(1, image_path="1.png"), row(2, image=image, image_path="../../x.png")]

    assert ("path-outside", 3, "2") in found(look(write(tmp_path / "T.tsv", rows)))


def test_a_picture_with_its_data_uri_is_a_picture(tmp_path: Path) -> None:
    rows = [row(1, image=f"data:image/png;base64,{picture()}"), row(2, image=f"data:image/gif;base64,{pixel()}")]

    assert look(write(tmp_path / "T.tsv", rows)).counts == {}


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("LAB", "TIFF"), ("F", "TIFF"), ("I;16", "PNG"), ("P", "GIF")]
)
def test_a_picture_of_an_unusual_mode_is_sound(tmp_path: Path, mode: str, form: str) -> None:
    assert look(write(tmp_path / "T.tsv", [row(1, image=picture(mode=mode, form=form))])).counts == {}


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("LAB", "TIFF"), ("F", "TIFF"), ("I;16", "PNG"), ("CMYK", "TIFF")]
)
def test_a_picture_of_an_unusual_mode_is_saved_as_convert_rgb_sees_it(mode: str, form: str) -> None:
    held = io.BytesIO()
    made = Image.linear_gradient("L").convert("RGB")
    (made.convert("L").convert(mode) if mode in ("F", "I;16") else _in_mode(made, mode)).save(held, form)

    opened = table_images.decode_image(base64.b64encode(held.getvalue()).decode())

    assert opened.mode == "RGB"
    assert opened.tobytes() == Image.open(io.BytesIO(held.getvalue())).convert("RGB").tobytes()


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return Image.merge("LAB", image.split()) if mode == "LAB" else image.convert(mode)


def test_files_are_found_below_the_table_and_never_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "images" / "T").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "T" / "b.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    names = ["a.png", "b.png", "c.png", "d.png", "../../../x.png"]
    rows = [{"index": n, "image_path": name, "question": "?", "answer": "x"} for n, name in enumerate(names, 1)]

    seen = found(look(write(tmp_path / "T.tsv", rows)))

    assert set(seen) == {("picture-lost", 4, "3"), ("picture-file", 5, "4"), ("path-outside", 6, "5")}


def test_two_pictures_under_one_path_are_told_and_kept_apart(tmp_path: Path) -> None:
    rows = [row(1, image_path="x.png"), row(2, image_path="x.png", image=picture("blue")), row(3, image_path="x.png")]

    seen = look(write(tmp_path / "T.tsv", rows))

    assert found(seen) == [("picture-path", 3, "2")]
    assert not seen.refused


def test_two_pictures_under_one_name_by_index_are_refused(tmp_path: Path) -> None:
    rows = [row(1, image=f"['{picture()}', '{picture()}']"), row("1_0", image=picture("blue"))]

    assert found(look(write(tmp_path / "T.tsv", rows))) == [("picture-name", 3, "1_0")]


def test_remarks_are_of_the_rows_that_will_be_asked_and_errors_of_all(tmp_path: Path) -> None:
    rows = [row(1), row(2, answer="C"), row(3, image="bm8="), row(1)]

    assert found(look(write(tmp_path / "T.tsv", rows), limit=1)) == [("index-twice", 5, "1"), ("reference", 4, "3")]


def test_a_table_without_index_is_numbered_and_one_without_question_refused(tmp_path: Path) -> None:
    rows = [{"image": picture(), "text": "?", "answer": "x"}]

    assert [kind for kind, _, _ in found(look(write(tmp_path / "T.tsv", rows)))] == ["column", "index-made"]


def test_a_place_without_its_picture_is_a_marker_where_texts_have_places(tmp_path: Path) -> None:
    rows = [row(1, question="<image 1> or <image 3>?")]

    seen = look(write(tmp_path / "T.tsv", rows), name="MMMU_DEV_VAL", own=False)

    assert "<image 3> of 1 pictures" in next(seen.lines())


def test_many_flaws_of_a_kind_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    seen = look(write(tmp_path / "T.tsv", [row(1)] * 81))

    assert seen.counts == {"index-twice": 80}
    assert [*seen.lines()][-1] == "and 30 more: index used twice"
    assert TableCheck.from_json(seen.as_json()) == seen
