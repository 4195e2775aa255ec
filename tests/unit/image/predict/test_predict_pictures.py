"""Images before prediction: unreadable ones are refused, unusual ones remarked."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image.picture_file import ORIENTATION
from vldock.image.predict.image_download import DownloadLimits
from vldock.image.predict.pictures import PictureReader, display_name, examine


def png(width: int = 4, height: int = 3, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg"


def saved(path: Path, kind: str) -> Path:
    """Write an unusual image."""
    image = Image.effect_noise((8, 6), 50)
    if kind == "turned":
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        image.save(path, "JPEG", exif=exif)
    elif kind == "animated":
        image.save(path, "GIF", save_all=True, append_images=[Image.effect_noise((8, 6), 90)])
    elif kind == "CMYK":
        image.convert("CMYK").save(path, "JPEG")
    elif kind == "16 bits":
        Image.new("I;16", (8, 6), 300).save(path, "PNG")
    else:
        image.convert("RGBA").save(path, "PNG")
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("turned", "EXIF asks to turn it (orientation 6)"),
        ("animated", "it has 2 frames; the first is seen"),
        ("CMYK", "CMYK is converted without its colour profile"),
        ("16 bits", "values above 255 are seen as white"),
        ("transparent", "transparency is dropped"),
    ],
)
def test_what_a_model_sees_of_an_unusual_image_is_said(tmp_path: Path, kind: str, said: str) -> None:
    (note,) = examine(saved(tmp_path / "image", kind), "it")

    assert said in note


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"hello, no image", "is no image that can be read"),
        (png(64, 64)[:-40], "is damaged"),
        (png(100_000, 1), "padded to 100000x100000 it takes 30.0 GB"),
    ],
    ids=["empty", "text", "cut", "bomb"],
)
def test_what_no_model_can_see_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)

    with pytest.raises(InputRefused) as refused:
        examine(path, "image.png")

    assert refused.value.message.startswith("image.png")
    assert why in refused.value.message


def test_a_file_standard_input_and_a_data_uri_are_read_and_nothing_stays(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    reader = PictureReader(tmp_path, stdin=lambda: io.BytesIO(png()))

    with reader.gather(["a.png", "-", uri]) as pictures:
        seen = [picture.path.read_bytes() for picture in pictures]

    assert seen == [png()] * 3
    assert pictures[0].path == tmp_path / "a.png"
    assert all(picture.path.is_relative_to(cache) for picture in pictures[1:])
    assert not any(path.is_file() for path in cache.rglob("*"))


@pytest.mark.parametrize("source", ["gone.png", ".", "data:image/png,plain"])
def test_a_source_that_is_none_is_a_wrong_argument(tmp_path: Path, source: str) -> None:
    with pytest.raises(UsageError), PictureReader(tmp_path).gather([source]):
        pass


def test_more_bytes_than_allowed_on_standard_input_are_refused(tmp_path: Path) -> None:
    reader = PictureReader(tmp_path, DownloadLimits(size=10), stdin=lambda: io.BytesIO(png()))

    with pytest.raises(InputRefused, match="more than 10 bytes"), reader.gather(["-"]):
        pass


def test_a_source_is_named_without_password_query_and_data() -> None:
    assert display_name("https://me:secret@host/a.png?token=x") == "https://host/a.png"
    assert "AAAAAAAAAAAAAAAAAAAAAAAAA" not in display_name("data:image/png;base64," + "A" * 100)
