"""The identity of an image: digests of its config and of its uncompressed layers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageIdentity:
    """An image by content: 'sha256:...' of its config, and of each uncompressed layer from the base up."""

    config: str
    layers: tuple[str, ...]
