"""Check of every shard, byte by byte, with repair.

Repair loses nothing: features can be computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vldock.image.features import evict, file_locks, shards
from vldock.image.features.space import prompt_hash

Kind = Literal["damaged", "foreign", "unfinished", "in progress"]


@dataclass(frozen=True)
class Finding:
    """File other than a sound shard.

    Its kind, the reason, and whether it was removed.
    damaged: contradicts its header. unfinished: left by a writer that died. in progress: its writer lives.
    foreign: no file of this cache. Only `damaged` makes the cache unsound.
    """

    kind: Kind
    path: Path
    why: str
    removed: bool = False


@dataclass(frozen=True)
class Report:
    """Report of a check: sound shards and rows, duplicate rows, findings."""

    shards: int
    rows: int
    size: int
    twice: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """True if no damaged shard remains."""
        return not any(one.kind == "damaged" and not one.removed for one in self.findings)


def check(root: Path, *, repair: bool = False) -> Report:
    """Read every byte below `root`; with `repair`, remove damaged or unfinished files.

    A file in use is not removed.
    """
    keys: Counter[str] = Counter()
    findings: list[Finding] = []
    count = size = 0
    for path in _files(root):
        if path == root / evict.LOCK:
            continue
        finding = _look(path, root, keys)
        if isinstance(finding, int):
            count, size = count + (finding > 0), size + finding
        elif finding.kind in ("damaged", "unfinished") and repair:
            findings.append(Finding(finding.kind, path, finding.why, evict.remove(path)))
        else:
            findings.append(finding)
    return Report(count, len(keys), size, sum(times - 1 for times in keys.values()), tuple(findings))


def _files(folder: Path) -> Iterator[Path]:
    for one in shards.list_folder(folder):
        if one.is_dir(follow_symlinks=False):
            yield from _files(Path(one.path))
        else:
            yield Path(one.path)


def _look(path: Path, root: Path, keys: Counter[str]) -> Finding | int:
    """Return a sound shard's size, else a finding.

    0 if the shard was evicted during the check.
    """
    if len(path.relative_to(root).parts) != 3 or not path.name.endswith((shards.SUFFIX, shards.UNFINISHED)):
        return Finding("foreign", path, "not a file of this cache")
    if path.name.endswith(shards.UNFINISHED):
        lease = file_locks.lock_exclusively(path)
        if lease is None:
            return Finding("in progress", path, "its writer holds it")
        lease.close()
        return Finding("unfinished", path, "its writer died")
    try:
        shard = shards.read_header(path)
        _compare(shard)
    except FileNotFoundError:
        return 0
    except shards.ShardDamaged as error:
        return Finding("damaged", path, str(error))
    keys.update(row.key for row in shard.rows)
    return shard.size


def _compare(shard: shards.Shard) -> None:
    """Raise ShardDamaged for changed bytes, or a wrong prompt folder or space."""
    if not shard.path.name.startswith(f"{shard.space.short}-"):
        raise shards.ShardDamaged("named for another space than its header's")
    if shard.path.parent.parent.name != prompt_hash(shard.prompt):
        raise shards.ShardDamaged("in the folder of another prompt")
    with shard.path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        for row in shard.rows:
            begin, end = header[row.key]["data_offsets"]
            stream.seek(8 + length + begin)
            if hashlib.sha256(stream.read(end - begin)).hexdigest() != row.sha256:
                raise shards.ShardDamaged(f"row {row.vlm_idx} of {shard.dataset} has other bytes than were written")
