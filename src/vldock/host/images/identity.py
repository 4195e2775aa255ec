"""Identity of an image: digests of its config and layers.

Layers are digested uncompressed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageIdentity:
    """An image by content: digests of its config and of each uncompressed layer.

    Each is 'sha256:...'; layers are from the base up.
    """

    config: str
    layers: tuple[str, ...]
