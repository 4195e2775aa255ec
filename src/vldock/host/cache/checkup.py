"""`vldock cache doctor`: file systems, locks, owners, modes, room, leftovers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from vldock.common.check import Check
from vldock.common.errors import UsageError
from vldock.common.filesystem.permissions import Identity
from vldock.common.matrix import MODELS
from vldock.host.cache import filesystem
from vldock.host.cache import items as cache_items
from vldock.host.cache import permissions as cache_permissions
from vldock.host.cache import problems as cache_problems
from vldock.host.cache.locations import CacheLocations
from vldock.host.util.console import size_text

INODES_NEEDED = 10_000


def examine(
    locations: CacheLocations, *, user: str | None = None, mounts: Sequence[filesystem.MountPoint] | None = None
) -> list[Check]:
    """Return the findings on every tree; an unfit one raises nothing.

    Raises UsageError for a --user that is none.
    """
    known = filesystem.list_mounts() if mounts is None else mounts
    checks = [check for root in locations.roots for check in _tree(root, user, known)]
    return [*checks, check_room(locations), *check_flaws(locations)]


def _tree(root: Path, user: str | None, known: Sequence[filesystem.MountPoint]) -> list[Check]:
    try:
        who = cache_permissions.intended_user(root, user)
    except ValueError:
        raise UsageError(f"--user {user}", expected="UID:GID, for example 1000:1000") from None
    return [check_mount(root, filesystem.find_mount(root, known)), check_trial(root), *check_access(root, who)]


def check_mount(root: Path, mount: filesystem.MountPoint | None) -> Check:
    """Check that a cache can be filled on this file system."""
    if mount is None:
        return Check("file system", "warn", f"{root}: its mount is not known")
    unsafe = mount.network is not None or mount.kind in filesystem.LOST
    hint = filesystem.ADVICE if mount.network else "a folder on a disk" if unsafe else None
    return Check("file system", "warn" if unsafe else "ok", f"{root}: {mount.describe()}", hint=hint)


def check_trial(root: Path) -> Check:
    """Check that flock, links and rename work there."""
    try:
        tried = filesystem.try_operations(root)
    except OSError as error:
        return Check(
            "locks", "warn", f"{root} cannot be tried: {error.strerror}", hint="vldock cache doctor --user UID:GID"
        )
    failed = {name: why for name, why in tried.items() if why}
    if not failed:
        return Check("locks", "ok", f"{root}: {', '.join(tried)} work")
    seen = "; ".join(f"{name}: {why}" for name, why in failed.items())
    return Check("locks", "warn", f"{root}: {seen}", hint=filesystem.ADVICE)


def check_access(root: Path, who: Identity) -> list[Check]:
    """Check that its user can read all of it and add to it."""
    seen = cache_permissions.scan_access(root, who)
    command, name = seen.command(), f"uid {who.uid}"
    if not seen.fit:
        counts = [
            f"{len(paths)} {what}, {paths[0]} first"
            for what, paths in (("of other owners", seen.foreign), ("closed by their mode", seen.closed))
            if paths
        ]
        return [Check("access", "fail", f"{root}: {name} cannot use {'; '.join(counts)}", hint=command)]
    if seen.open_to_all:
        count = f"{len(seen.open_to_all)}, {seen.open_to_all[0]} first"
        return [Check("access", "warn", f"{root}: anybody may write {count}; a weight file runs code", hint=command)]
    return [Check("access", "ok", f"{root}: {name} reads all and can add to it")]


def check_room(locations: CacheLocations) -> Check:
    """Check room and inodes for the matrix's weights still to download."""
    here = {item.name for item in cache_items.scan(locations) if item.kind == "model"}
    absent = [model for model in MODELS if model.in_matrix and model.repo not in here]
    needed = sum(model.gigabytes for model in absent) * 1e9
    free, stats = shutil.disk_usage(locations.root).free, os.statvfs(locations.root)
    seen = f"{size_text(free)} free at {locations.root}"
    if stats.f_files > 0 and stats.f_favail < INODES_NEEDED:
        return Check("room", "warn", f"{seen}, {stats.f_favail} inodes left", hint="vldock cache prune")
    if free < needed:
        names = ", ".join(model.name for model in absent)
        return Check("room", "warn", f"{seen}; {names} to come: {size_text(needed)}", hint="vldock cache prune")
    return Check("room", "ok", seen)


def check_flaws(locations: CacheLocations) -> list[Check]:
    """Check for leftovers and incomplete repositories."""
    found = cache_problems.find(locations)
    left, torn = [one for one in found if one.kind != "torn"], [one for one in found if one.kind == "torn"]
    size = size_text(sum(one.size for one in left))
    checks = [Check("torn", "warn", f"{one.path}: {one.why}", hint=one.cure) for one in torn]
    if left:
        checks.append(Check("leftovers", "warn", f"{len(left)} partial or orphaned, {size}", hint="vldock cache prune"))
    return checks or [Check("leftovers", "ok", "none")]
