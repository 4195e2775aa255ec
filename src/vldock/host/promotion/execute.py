"""Do a promotion, in the order that leaves no tag at an image that is not whole and verified, whenever it is killed.

Blobs, manifest by digest, everything read back and compared with the receipts, receipts and SBOM, a line in the log
that the tags are about to move, the tag that never moves, the channel's tag, a line that they have. The same command
again does what is left, and nothing twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from vldock import __version__
from vldock.host.errors import TagMovedElsewhere
from vldock.host.images import remote as remote_images
from vldock.host.images.copy import Traffic
from vldock.host.promotion import log as promotion_log
from vldock.host.promotion.artifacts import ArtifactStore
from vldock.host.promotion.log import Entry, LogFile, Move
from vldock.host.promotion.plan import PromotionPlan, digest_at
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts.statement import Receipt
from vldock.host.registry.client import Manifest, Remote, sha256
from vldock.host.util.console import Say, size_text

# Brings the blobs to the target; returns the manifest, which it has not stored, and what it moved.
Bring = Callable[[], tuple[Manifest, Traffic]]


@dataclass(frozen=True)
class PromotionContext:
    """Where a promotion works: the target, what stands beside its images, the log here, and whom to tell."""

    target: Remote
    shelf: ArtifactStore
    log: LogFile
    say: Say

    def entries(self) -> list[Entry]:
        """Return this repository's lines, of this machine's log and of the registry's."""
        there = promotion_log.parse(self.shelf.read_log(), name=f"the log in {self.target.repository}")
        mine = [entry for entry in self.log.read() if entry.repository == str(self.target.repository)]
        return promotion_log.merge(there, mine)

    def write(self, entry: Entry) -> None:
        """Add a line, here first, then in the registry."""
        self.log.append(entry)
        self.sync()

    def sync(self) -> None:
        """Bring the registry's log up to date."""
        self.shelf.put_log(promotion_log.render(self.entries()))

    def unsent(self) -> list[Entry]:
        """Return the lines that the registry's log lacks, where a run was killed between the two."""
        if not self.shelf.keeps_log:
            return []
        there = promotion_log.parse(self.shelf.read_log(), name="the registry's log")
        return [entry for entry in self.entries() if entry not in there]


@dataclass(frozen=True)
class PromotionOutcome:
    """What was done; `changed` is False where everything was in place."""

    digest: str
    moves: tuple[Move, ...]
    traffic: Traffic
    changed: bool = True

    def lines(self) -> list[str]:
        """Return the lines a person reads."""
        if not self.changed:
            return [f"nothing to do: every tag is at {self.digest}"]
        sent = f"sent      {self.traffic.sent} blobs, {size_text(self.traffic.size)}; {self.traffic.kept} were there"
        return [
            f"digest    {self.digest}",
            sent,
            *(f"tag       {m.tag}: {m.at or 'new'} -> {m.to}" for m in self.moves),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def utc_now() -> str:
    """Return the time now, to the microsecond: the order of the log's lines."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def is_done(plan: PromotionPlan, work: PromotionContext) -> bool:
    """Tell whether nothing is left to do: tags, receipts, SBOM, and no line of the log is open or lacking."""
    if plan.manifest is None or plan.moves:
        return False
    digest = plan.manifest.digest
    beside = {sha256(raw) for name in ("receipt", "sbom") for raw in work.shelf.read(digest, name)}
    wanted = {receipt.digest for receipt in plan.receipts} | ({sha256(plan.sbom)} if plan.sbom else set())
    tags = {tag.name for tag in plan.tags}
    still_open = any(
        entry.digest == digest and {move.tag for move in entry.moves} <= tags
        for entry in promotion_log.find_unfinished(work.entries())
    )
    return wanted <= beside and not still_open and not work.unsent()


def execute(plan: PromotionPlan, work: PromotionContext, bring: Bring) -> PromotionOutcome:
    """Do the plan; raises a Refusal, or RegistryFailed, with every tag either untouched or at the verified image."""
    if plan.manifest is not None and is_done(plan, work):
        return PromotionOutcome(plan.manifest.digest, (), Traffic(), changed=False)
    manifest, traffic = bring()
    work.target.put_manifest(manifest, manifest.digest)
    work.say(f"reading back {work.target.repository}@{manifest.digest}")
    verify_stored(work.target, manifest, [receipt.receipt for receipt in plan.receipts])
    work.shelf.add(manifest, "receipt", [receipt.raw for receipt in plan.receipts])
    if plan.sbom:
        work.shelf.add(manifest, "sbom", [plan.sbom])
    moves = [Move(tag.name, tag.at, manifest.digest) for tag in plan.tags if tag.at != manifest.digest]
    made = Entry(
        id=uuid.uuid4().hex,
        state="started",
        time=utc_now(),
        action="promote",
        repository=str(plan.target),
        digest=manifest.digest,
        config=manifest.config.digest,
        moves=tuple(moves),
        receipts=tuple(receipt.digest for receipt in plan.receipts),
        signed=plan.signed,
        source=plan.subject.name,
        vldock=__version__,
    )
    tags = [tag.name for tag in plan.tags]
    return PromotionOutcome(manifest.digest, change_tags(made, tags, manifest, work), traffic)


def change_tags(made: Entry, tags: Sequence[str], manifest: Manifest, work: PromotionContext) -> tuple[Move, ...]:
    """Move what is left to move of `tags`, between two lines of the log; a line a killed run began is taken up."""
    begun = [entry for entry in promotion_log.find_unfinished(work.entries()) if made.begun_as(entry, tags=tags)]
    entry = begun[-1].continued(made.moves) if begun else made
    if not entry.moves:
        work.sync()
        return ()
    if begun:
        work.sync()
    else:
        work.write(entry)
    move_tags(made.moves, manifest, work)
    work.write(entry.finished(time=utc_now()))
    return entry.moves


def verify_stored(target: Remote, manifest: Manifest, receipts: Sequence[Receipt]) -> None:
    """Read a stored image back, every byte; raises Damaged or OtherImage where it is not the receipts'."""
    seen = remote_images.read_identity(target, target.manifest(manifest.digest) or manifest)
    for receipt in receipts:
        receipt_check.require_same_image(receipt, seen, image=f"{target.repository}@{manifest.digest}")


def move_tags(moves: Sequence[Move], manifest: Manifest, work: PromotionContext) -> None:
    """Set each tag and read it back; raises TagMovedElsewhere where somebody else moved one meanwhile."""
    for move in moves:
        now = digest_at(work.target, move.tag)
        if now not in (move.at, move.to):
            raise TagMovedElsewhere(
                f"{work.target.repository}:{move.tag} is at {now or 'nothing'} now, it was at {move.at or 'nothing'}",
                expected="no other promotion at the same time",
                hint="look at it, then run the same command again",
            )
        work.target.put_manifest(manifest, move.tag)
        seen = digest_at(work.target, move.tag)
        if seen != move.to:
            raise TagMovedElsewhere(f"{work.target.repository}:{move.tag} is at {seen}", expected=move.to)
        work.say(f"tag {move.tag} is at {move.to}")
