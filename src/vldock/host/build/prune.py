"""`vldock clean`: remove the containers and images vldock made, found by their labels.

A plan comes first; `execute` removes what it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vldock.host.build.base_image import RECIPE_LABEL
from vldock.host.containers import cleanup
from vldock.host.util.console import Say, size_text

IMAGE_LABELS = ("vldock.stage", RECIPE_LABEL)


@dataclass(frozen=True)
class CleanPlan:
    """SDK objects to remove, and the running containers left alone."""

    containers: tuple[Any, ...]
    spared: tuple[Any, ...]
    images: tuple[Any, ...]

    def lines(self) -> list[str]:
        """Return one line per object."""
        return [
            *(f"container {item.name} ({item.status})" for item in self.containers),
            *(f"container {item.name} is running: left alone (--force)" for item in self.spared),
            *(f"image {(item.tags or [item.short_id])[0]} {size_text(item.attrs['Size'])}" for item in self.images),
        ]


def plan(client: Any, *, images: bool, force: bool) -> CleanPlan:
    """Return the removals; running containers only with `force`, images only with `images`."""
    found = cleanup.find(client)
    spared = tuple(item for item in found if item.status == "running" and not force)
    ours = {item.id: item for label in IMAGE_LABELS if images for item in client.images.list(filters={"label": label})}
    return CleanPlan(tuple(item for item in found if item not in spared), spared, tuple(ours.values()))


def execute(client: Any, plan: CleanPlan, *, say: Say) -> None:
    """Remove the plan's objects; an image still in use is reported and left."""
    from docker.errors import APIError

    for item in plan.containers:
        cleanup.end_container(item)
    for image in plan.images:
        try:
            client.images.remove(image.id, force=True)
        except APIError as error:
            say(f"image {image.short_id} stays: {error.explanation}")
