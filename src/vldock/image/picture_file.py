"""Image file as LLaVA and VLMEvalKit read it.

First frame, not turned by EXIF, converted to RGB.
Called by predict.pictures, training.data.images and features.picture_rows; each has its own refusals.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from vldock.common.tables.images import BROKEN

ORIENTATION = 0x0112  # EXIF 2.32, table 4; 1 is upright
# modes whose values above 255 convert("RGB") clips to white
DEEP = {"I": "32 bits", "F": "floating point"} | {f"I;16{order}": "16 bits" for order in ("", "B", "L", "N")}


class Unreadable(ValueError):
    """Error of an undecodable image.

    `kind` is unknown, huge or damaged; `reason` is Pillow's.
    """

    def __init__(self, kind: str, reason: object) -> None:
        super().__init__("not a picture Pillow knows" if kind == "unknown" else f"no picture: {reason}")
        self.kind, self.reason = kind, " ".join(str(reason).split())


@contextmanager
def open_image(source: Path | bytes) -> Iterator[Any]:
    """Yield the PIL image of a file or of encoded bytes.

    Raises Unreadable, also for decoding within the context.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except UnidentifiedImageError as error:
        raise Unreadable("unknown", error) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable("huge", error) from error
    except BROKEN as error:
        raise Unreadable("damaged", error) from error


def orientation_of(image: Any) -> int:
    """Return the EXIF orientation, 1 to 8.

    1 where there is none, or 0.
    """
    return int(image.getexif().get(ORIENTATION, 1) or 1)


def frames_of(image: Any) -> int:
    """Return how many frames an image has."""
    return int(getattr(image, "n_frames", 1))
