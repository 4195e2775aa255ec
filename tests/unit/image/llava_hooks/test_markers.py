"""Image markers inside a question's text."""

from __future__ import annotations

import pytest

from vldock.image.llava_hooks import markers, small_pictures


def message(text: str, *, images: int = 2) -> markers.Message:
    return [*({"type": "image", "value": f"{n}.png"} for n in range(1, images + 1)), {"type": "text", "value": text}]


def test_a_disguised_text_is_not_split_at_and_is_written_as_it_was() -> None:
    text = "the tag <image> and <image>"

    assert "<image>" not in markers.disguise(text)
    assert markers.restore(markers.disguise(text)) == text


def test_images_go_to_their_places_and_what_names_none_stays_text() -> None:
    found = markers.place_images(message("a <image 2> b <image 3> c <image x>"))

    assert [item["value"] for item in found] == ["a ", "2.png", " b <image 3> c <image x>"]


@pytest.mark.parametrize("text", ["no place", "<image 0>", "<image 9>", "<image >"])
def test_a_text_without_a_place_leaves_the_message_as_it_is(text: str) -> None:
    assert markers.place_images(message(text)) == message(text)


@pytest.mark.parametrize(("side", "seen"), [(1, 2), (3, 6), (2, 2), (336, 336)])
def test_a_side_that_could_be_a_number_of_colours_is_doubled(side: int, seen: int) -> None:
    from PIL import Image

    assert small_pictures.enlarge_ambiguous(Image.new("RGB", (side, side))).size == (seen, seen)
