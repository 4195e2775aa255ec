"""Listings of the cache, as text and JSON.

They are the output of `features ls`, and fsck's report.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.image.features import evict, shards
from vldock.image.features.fsck import Report
from vldock.image.features.space import prompt_hash


@dataclass(frozen=True)
class Group:
    """Shards of one data set in one space and prompt.

    Rows, first and last row, bytes, last use in seconds since 1970.
    """

    dataset: str
    prompt: str | None
    folder: str
    tower: str
    layer: str
    computed: str
    preprocessing: str
    dtype: str
    rows: int
    first: int
    last: int
    shards: int
    size: int
    used: float


def list_groups(root: Path) -> list[Group]:
    """Return the groups below `root`, without damaged shards, which fsck reports."""
    found: dict[tuple[str, str, str], list[tuple[shards.Shard, float]]] = defaultdict(list)
    for one in evict.list_shards(root):
        try:
            shard = shards.read_header(one.path)
        except (FileNotFoundError, shards.ShardDamaged):
            continue
        prompt = prompt_hash(shard.prompt)
        found[shard.dataset, prompt, shard.space.digest].append((shard, one.used))
    return [_group(found[key]) for key in sorted(found)]


def _group(members: list[tuple[shards.Shard, float]]) -> Group:
    first, _ = members[0]
    places = [row.vlm_idx for shard, _ in members for row in shard.rows]
    preprocessing = hashlib.sha256(first.space.preprocessing.encode()).hexdigest()[:12]
    return Group(
        first.dataset, first.prompt, prompt_hash(first.prompt), first.space.tower[:12], first.space.layer,
        first.space.computed, preprocessing, first.space.dtype, len(places), min(places), max(places), len(members),
        sum(shard.size for shard, _ in members), max(used for _, used in members),
    )  # fmt: skip


def render_groups(groups: list[Group]) -> str:
    """Return the table of `features ls`."""
    head = f"{'data set':<24} {'rows':>7} {'vlm_idx':>13} {'MB':>9}  {'tower':<12} {'layer':<18} {'dtype':<8} last used"
    lines = [head]
    for one in groups:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.used))
        span = f"{one.first}-{one.last}"
        lines.append(
            f"{one.dataset:<24} {one.rows:>7} {span:>13} {one.size / 1e6:>9.1f}  {one.tower:<12} {one.layer:<18} "
            f"{one.dtype:<8} {when}" + (f"  prompt {one.folder}: {one.prompt!r}" if one.prompt is not None else "")
        )
    total = sum(one.size for one in groups)
    return "\n".join([*lines, f"{sum(one.rows for one in groups)} rows, {total / 1e6:.1f} MB"])


def render_report(report: Report, root: Path) -> str:
    """Return fsck's report as lines."""
    lines = [
        f"{one.kind:<12} {one.path.relative_to(root)}: {one.why}{' (removed)' if one.removed else ''}"
        for one in report.findings
    ]
    twice = f", {report.twice} rows twice" if report.twice else ""
    verdict = "clean" if report.clean else "NOT CLEAN: features fsck --repair removes what is damaged"
    total = f"{report.shards} shards, {report.rows} rows, {report.size / 1e6:.1f} MB{twice}"
    return "\n".join([*lines, f"{total}: {verdict}"])


def as_json(report: Report) -> dict[str, Any]:
    """Return fsck's report as JSON values."""
    return {
        "clean": report.clean, "shards": report.shards, "rows": report.rows, "bytes": report.size,
        "twice": report.twice,
        "findings": [
            {"kind": one.kind, "path": str(one.path), "why": one.why, "removed": one.removed}
            for one in report.findings
        ],
    }  # fmt: skip
