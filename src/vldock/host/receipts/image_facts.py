"""Facts of an image in the engine, for its receipt: lock, base, manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vldock.common.image_paths import BUILD_FACTS
from vldock.host.images import files as image_files

BASE_LABEL = "org.opencontainers.image.base.name"
LOCK_LABEL = "vldock.lock.sha256"


def read_labels(image: Any) -> dict[str, str]:
    """Return the labels of an engine's image."""
    return dict(image.attrs["Config"].get("Labels") or {})


def read_lock(image: Any, facts: Mapping[str, Any]) -> str | None:
    """Return the sha256 of the lock the image was installed from.

    By its build.json, else by its label, else None.
    """
    lock = facts.get("lock_sha256") or read_labels(image).get(LOCK_LABEL)
    return lock if lock and len(lock) == 64 else None


def read_build_facts(client: Any, image: Any) -> dict[str, Any]:
    """Return build.json of the image without running it; empty where it has none."""
    raw = image_files.read(client, image.id, [BUILD_FACTS])[BUILD_FACTS]
    return dict(json.loads(raw)) if raw else {}


def read_base(client: Any, image: Any, facts: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the name and digest of the base.

    The digest is that of the name itself, or of the engine's image where ours begins with its layers."""
    from docker.errors import APIError

    name = str(read_labels(image).get(BASE_LABEL) or facts.get("base") or "unknown")
    if "@sha256:" in name:
        return name, "sha256:" + name.partition("@sha256:")[2]
    try:
        base = client.images.get(name)
    except APIError:  # not here, or no valid name in an engine
        return name, None
    below, ours = base.attrs["RootFS"]["Layers"], image.attrs["RootFS"]["Layers"]
    return name, str(base.id) if ours[: len(below)] == below else None


def read_manifest_digest(image: Any, reference: str) -> str | None:
    """Return the image's manifest digest in the repository of `reference`.

    None where it was neither pushed nor pulled there.
    """
    repository = reference.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    pairs = (digest.partition("@") for digest in image.attrs.get("RepoDigests") or ())
    return next((digest for name, _, digest in pairs if name == repository), None)
