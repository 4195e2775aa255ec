"""Images of a table, decoded as convert("RGB") sees them.

An image that cannot be decoded fails its own sample only.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.tables import images as table_images
from vldock.common.tables.images import BROKEN

FAILED = "Failed to obtain answer"  # INFER_FAIL_MSG: VLMEvalKit counts a prediction with it as failed


class PictureLost(ValueError):
    """Error of an undecodable or unwritable image; its sample is not evaluated."""


def decode_image(text: str) -> Any:
    """Return the fully decoded image of a base64 text.

    It has a mode that can be saved.
    Raises PictureLost.
    """
    from PIL import Image

    try:
        return table_images.load_picture(base64.b64decode(table_images.without_uri(text)), Image)
    except BROKEN as error:
        raise PictureLost(f"picture cannot be decoded: {table_images.short_error(error)}") from error


def why_broken(content: bytes) -> str | None:
    """Return why bytes are no image readable by a model, or None."""
    from PIL import Image

    return table_images.why_broken(content, Image)


def guard_save(save: Callable[[], None], suffix: str) -> None:
    """Save an image by a call of `save`.

    Raises PictureLost if a file of that kind cannot hold the image.
    """
    try:
        save()
    except (ValueError, KeyError) as error:
        raise PictureLost(f"picture cannot be written as {suffix or 'a file without suffix'}: {error}") from error


def dump_if_whole(decode: Callable[[str, str], None], text: str, path: str) -> None:
    """Write an image of a table above 1 GB.

    References and broken images are skipped.
    """
    if len(text) <= table_images.REFERENCE_UP_TO and table_images.why_broken_base64(text, why_broken):
        return
    try:
        decode(text, path)
    except PictureLost as error:
        print(f"{path}: {error}", flush=True)


def is_reference(cell: Any, images: Mapping[str, Any]) -> bool:
    """Return whether an image cell names another row of `images`."""
    return isinstance(cell, str) and table_images.is_reference(cell, images)


def resolve_image(images: Mapping[str, str], index: str) -> str:
    """Return a row's image, or that of the row it names.

    Raises InputRefused where it names none.
    """
    cell = images[index]
    if not table_images.is_reference(cell, images):
        if (
            len(cell) > table_images.REFERENCE_UP_TO
            or cell.startswith("[")
            or table_images.why_broken_base64(cell, why_broken) is None
        ):
            return cell
    elif (
        len(images[cell]) > table_images.REFERENCE_UP_TO
        or table_images.why_broken_base64(images[cell], why_broken) is None
    ):
        return images[cell]
    raise InputRefused(f"image of index {index} is {cell!r}", expected="a picture, or the index of a row that has one")


def record_if_lost(dataset: Any, line: Any, results: MutableMapping[Any, str]) -> bool:
    """Return whether a sample has a broken image.

    Such a sample is first recorded as failed, with the cause.
    """
    index, look = line["index"], getattr(dataset, "vldock_check", None)
    known = {table_images.as_number(name): why for name, why in look.lost.items()} if look else {}
    cause = known.get(table_images.as_number(str(index)))
    if cause is None and (look is None or "image_path" in line) and hasattr(dataset, "dump_image"):
        cause = _dumped(dataset, line)
    if cause is None:
        return False
    results[index] = f"{FAILED}: sample {index}: {cause}"
    print(f"LOST sample {index}: {cause}; it is not asked, the others are", flush=True)
    return True


def _dumped(dataset: Any, line: Any) -> str | None:
    if getattr(dataset, "meta_only", False) or getattr(dataset, "MODALITY", None) == "VIDEO":
        return None
    try:
        dataset.dump_image(line)
    except PictureLost as error:
        return str(error)
    return None
