"""Execute a promotion plan, safely under kill -9.

The order leaves no tag at an image that is not whole and verified, whenever it is killed: blobs, manifest by digest,
everything read back and compared with the receipts, receipts and SBOM, a line in the log that the tags are about to
move, the tag that never moves, the channel's tag, a line that they have moved. The same command again does the rest,
and nothing twice.
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

# Copies the blobs to the target; returns the manifest, not yet stored, and the traffic.
Bring = Callable[[], tuple[Manifest, Traffic]]


@dataclass(frozen=True)
class PromotionContext:
    """Context of a promotion: target, artifacts beside its images, local log, console."""

    target: Remote
    store: ArtifactStore
    log: LogFile
    say: Say

    def entries(self) -> list[Entry]:
        """Return the entries of this repository, of the local log and the registry's."""
        remote = promotion_log.parse(self.store.read_log(), name=f"the log in {self.target.repository}")
        local = [entry for entry in self.log.read() if entry.repository == str(self.target.repository)]
        return promotion_log.merge(remote, local)

    def write(self, entry: Entry) -> None:
        """Append an entry to the local log, then to the registry's."""
        self.log.append(entry)
        self.sync()

    def sync(self) -> None:
        """Update the registry's log."""
        self.store.put_log(promotion_log.render(self.entries()))

    def unsent(self) -> list[Entry]:
        """Return the entries missing in the registry's log.

        There are some where a run was killed between the two writes.
        """
        if not self.store.keeps_log:
            return []
        remote = promotion_log.parse(self.store.read_log(), name="the registry's log")
        return [entry for entry in self.entries() if entry not in remote]


@dataclass(frozen=True)
class PromotionOutcome:
    """Outcome of a promotion; `changed` is False where everything was in place."""

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
    """Return the time now, to the microsecond.

    The time orders the entries of the log.
    """
    return datetime.now(UTC).isoformat(timespec="microseconds")


def is_done(plan: PromotionPlan, context: PromotionContext) -> bool:
    """Return whether nothing remains to do.

    Tags, receipts, SBOM, no entry of the log open or missing.
    """
    if plan.manifest is None or plan.moves:
        return False
    digest = plan.manifest.digest
    beside = {sha256(raw) for name in ("receipt", "sbom") for raw in context.store.read(digest, name)}
    needed = {receipt.digest for receipt in plan.receipts} | ({sha256(plan.sbom)} if plan.sbom else set())
    tags = {tag.name for tag in plan.tags}
    still_open = any(
        entry.digest == digest and {move.tag for move in entry.moves} <= tags
        for entry in promotion_log.find_unfinished(context.entries())
    )
    return needed <= beside and not still_open and not context.unsent()


def execute(plan: PromotionPlan, context: PromotionContext, bring: Bring) -> PromotionOutcome:
    """Execute the plan.

    Raises a Refusal, or RegistryFailed, with every tag untouched or at the verified image.
    """
    if plan.manifest is not None and is_done(plan, context):
        return PromotionOutcome(plan.manifest.digest, (), Traffic(), changed=False)
    manifest, traffic = bring()
    context.target.put_manifest(manifest, manifest.digest)
    context.say(f"reading back {context.target.repository}@{manifest.digest}")
    verify_stored(context.target, manifest, [receipt.receipt for receipt in plan.receipts])
    context.store.add(manifest, "receipt", [receipt.raw for receipt in plan.receipts])
    if plan.sbom:
        context.store.add(manifest, "sbom", [plan.sbom])
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
    return PromotionOutcome(manifest.digest, change_tags(made, tags, manifest, context), traffic)


def change_tags(made: Entry, tags: Sequence[str], manifest: Manifest, context: PromotionContext) -> tuple[Move, ...]:
    """Move the remaining `tags` between two entries of the log.

    The entry of a killed run is continued.
    """
    begun = [entry for entry in promotion_log.find_unfinished(context.entries()) if made.continues(entry, tags=tags)]
    entry = begun[-1].with_moves(made.moves) if begun else made
    if not entry.moves:
        context.sync()
        return ()
    if begun:
        context.sync()
    else:
        context.write(entry)
    move_tags(made.moves, manifest, context)
    context.write(entry.as_done(time=utc_now()))
    return entry.moves


def verify_stored(target: Remote, manifest: Manifest, receipts: Sequence[Receipt]) -> None:
    """Read every byte of a stored image back.

    Raises Damaged or OtherImage where it is not the receipts'.
    """
    stored = remote_images.read_identity(target, target.manifest(manifest.digest) or manifest)
    for receipt in receipts:
        receipt_check.require_same_image(receipt, stored, image=f"{target.repository}@{manifest.digest}")


def move_tags(moves: Sequence[Move], manifest: Manifest, context: PromotionContext) -> None:
    """Set each tag and read it back.

    Raises TagMovedElsewhere where another process moved one.
    """
    for move in moves:
        now = digest_at(context.target, move.tag)
        if now not in (move.at, move.to):
            name = f"{context.target.repository}:{move.tag}"
            raise TagMovedElsewhere(
                f"{name} is at {now or 'nothing'} now, it was at {move.at or 'nothing'}",
                expected="no other promotion at the same time",
                hint="look at it, then run the same command again",
            )
        context.target.put_manifest(manifest, move.tag)
        actual = digest_at(context.target, move.tag)
        if actual != move.to:
            raise TagMovedElsewhere(f"{context.target.repository}:{move.tag} is at {actual}", expected=move.to)
        context.say(f"tag {move.tag} is at {move.to}")
