"""Images too small to tell height from channels.

transformers mistakes their height for a number of channels.
"""

from __future__ import annotations

from typing import Any

COLOURS = (1, 3)


def enlarge_ambiguous(image: Any) -> Any:
    """Return a square image of ambiguous size at twice its size.

    Ambiguous are 1 and 3 pixels a side; other images are returned unchanged.
    Such an image is refused, or read with channels and rows exchanged. Source: transformers 4.37.2, image_utils.py,
    infer_channel_dimension_format().
    """
    side = image.size[0]
    return image.resize((2 * side, 2 * side), 0) if side in COLOURS else image
