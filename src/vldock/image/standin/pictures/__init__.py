"""Every picture by name, as the bytes that go into a TSV: JPEG for photographs, PNG for drawings."""

from __future__ import annotations

import base64
import io
from functools import cache

from PIL import Image

from vldock.image.standin.pictures.drawn import draw
from vldock.image.standin.pictures.photos import PHOTOS, load_photo

JPEG_QUALITY = 78


def picture(name: str) -> Image.Image:
    """Return the RGB picture called `name`: a photograph's name, or "kind:what" for a drawing."""
    return load_photo(name) if name in PHOTOS else draw(name)


@cache
def encode(name: str) -> str:
    """Return the picture as base64 text, as VLMEvalKit's image column holds it."""
    buffer = io.BytesIO()
    if name in PHOTOS:
        picture(name).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        picture(name).quantize(48, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
