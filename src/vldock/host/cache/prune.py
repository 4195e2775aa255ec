"""Pruning of caches: a plan that prints, then is executed.

Revisions are deleted by huggingface_hub itself.

Nothing that is in use goes: a partial file whose lock is held, or that changed within the last hour, is left alone;
the lock is held while a file is deleted, so a download that starts then waits.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vldock.common.caches import links
from vldock.common.errors import UsageError
from vldock.host.cache import items as cache_items
from vldock.host.cache import problems as cache_problems
from vldock.host.cache.locations import CacheLocations, hf_home_of
from vldock.host.cache.problems import Flaw
from vldock.host.util.console import Say, duration_text, size_text

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True)
class PruneRequest:
    """Deletions requested beside leftovers.

    Repositories by name, unused for so many days, revisions without a name.
    """

    repos: tuple[str, ...] = ()
    unused_days: float | None = None
    detached: bool = False
    older_than: float = HOUR


@dataclass(frozen=True)
class Deletion:
    """Revisions of one repository to delete, with huggingface_hub's strategy."""

    lines: tuple[str, ...]
    strategy: Any

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return int(self.strategy.expected_freed_size)


@dataclass(frozen=True)
class PrunePlan:
    """Leftovers to delete, leftovers to spare, and revisions to delete."""

    flaws: tuple[Flaw, ...]
    spared: tuple[Flaw, ...]
    deletions: tuple[Deletion, ...]

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(flaw.size for flaw in self.flaws) + sum(one.size for one in self.deletions)

    def lines(self) -> list[str]:
        """Return a line for each deletion, then for each spared path."""
        return [
            *(f"{flaw.kind:<8} {size_text(flaw.size):>10}  {flaw.path}: {flaw.why}" for flaw in self.flaws),
            *(line for one in self.deletions for line in one.lines),
            *(f"kept     {size_text(flaw.size):>10}  {flaw.path}: {_kept(flaw)}" for flaw in self.spared),
        ]


def plan(locations: CacheLocations, request: PruneRequest, *, now: float | None = None) -> PrunePlan:
    """Plan a pruning.

    Raises UsageError for a repository that is not in the caches.
    """
    now = time.time() if now is None else now
    found = cache_problems.find(locations, now=now)
    # a torn reference or link is no rubbish: it says what to complete
    leftovers = [flaw for flaw in found if flaw.kind != "torn"]
    going = tuple(flaw for flaw in leftovers if not flaw.in_use and flaw.age >= request.older_than)
    spared = tuple(flaw for flaw in leftovers if flaw not in going)
    return PrunePlan(going, spared, tuple(_deletions(locations, request, now)))


def execute(pruning: PrunePlan, *, log: Say) -> int:
    """Delete the planned paths and return the bytes freed.

    A path that came into use since the plan is kept, and logged.
    """
    freed = 0
    for flaw in pruning.flaws:
        with cache_problems.hold_lock(flaw.lock) as ours:
            if ours and _delete(flaw.path):
                freed += flaw.size
            elif not ours:
                log(f"{flaw.path} stays: it is being written now")
    for one in pruning.deletions:
        one.strategy.execute()
        for repository in one.strategy.repos:
            links.drop_dangling(hf_home_of(repository.parent))
        freed += one.size
    return freed


def _delete(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    path.unlink(missing_ok=True)
    return True


def _deletions(locations: CacheLocations, request: PruneRequest, now: float) -> Iterable[Deletion]:
    known: set[str] = set()
    for hub in locations.hubs:
        info = cache_items.hub_info(hub)
        known |= {repo.repo_id for repo in info.repos}
        for repo in sorted(info.repos, key=lambda repo: str(repo.repo_path)):
            chosen = sorted(one.commit_hash for one in repo.revisions if _goes(repo, one, request, now))
            if chosen:
                lines = sorted(_line(repo, one) for one in repo.revisions if one.commit_hash in chosen)
                # a duplicated repository has the same commits as its original: the library is shown this one alone
                alone = replace(info, repos=frozenset({repo}))
                yield Deletion(tuple(lines), alone.delete_revisions(*chosen))
    if unknown := sorted(set(request.repos) - known):
        raise UsageError(
            f"--repo {unknown[0]}: not in the caches",
            expected=", ".join(sorted(known)) or "a repository",
            hint="vldock cache scan",
        )


def _goes(repo: Any, revision: Any, request: PruneRequest, now: float) -> bool:
    if repo.repo_id in request.repos or (request.detached and not revision.refs):
        return True
    used = max(repo.last_accessed or 0.0, repo.last_modified or 0.0)
    return request.unused_days is not None and now - used >= request.unused_days * DAY


def _line(repo: Any, revision: Any) -> str:
    named = ", ".join(sorted(revision.refs)) or "detached"
    return f"revision {size_text(revision.size_on_disk):>10}  {repo.repo_id} {revision.commit_hash[:12]} ({named})"


def _kept(flaw: Flaw) -> str:
    return "being written now" if flaw.in_use else f"changed {duration_text(flaw.age)} ago: may be in use"
