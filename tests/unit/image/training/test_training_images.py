"""Images of a training: what is accepted becomes RGB of 8 bits, what is too large is not decoded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from support import flower_dataset

from vldock.image.training.data import images as training_images
from vldock.image.training.data.problems import CONVERTIBLE


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
