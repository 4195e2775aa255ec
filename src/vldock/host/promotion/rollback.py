"""Rollback: move a tag back to its previous image, by the promotion log.

Only where that image is still whole and its receipts still valid."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vldock import __version__
from vldock.host.errors import NothingToRollBack, ReceiptUnreadable, Refusal, TagMovedElsewhere
from vldock.host.images.copy import Traffic
from vldock.host.promotion import channels
from vldock.host.promotion import log as promotion_log
from vldock.host.promotion.execute import PromotionContext, PromotionOutcome, change_tags, utc_now, verify_stored
from vldock.host.promotion.log import Entry, Move
from vldock.host.promotion.plan import digest_at
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts import envelope
from vldock.host.receipts.check import Demands
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.registry.client import Manifest, sha256


@dataclass(frozen=True)
class Rollback:
    """A permitted rollback, by the receipts attached to the image.

    A tag goes from `at` back to the image of `manifest`.
    """

    tag: str
    at: str
    manifest: Manifest
    receipts: tuple[SealedReceipt, ...]
    signed: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the lines a person reads."""
        verified = ", ".join(receipt.receipt.time for receipt in self.receipts)
        return [f"tag       {self.tag}: {self.at} -> {self.manifest.digest}", f"receipts  of {verified}"]

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        receipts = [receipt.digest for receipt in self.receipts]
        return {"tag": self.tag, "at": self.at, "to": self.manifest.digest, "receipts": receipts}


def make(tag: str, context: PromotionContext, demands: Demands) -> Rollback:
    """Return the rollback; raises NothingToRollBack, TagMovedElsewhere, ReceiptUnreadable without a valid receipt."""
    name = f"{context.target.repository}:{tag}"
    at = digest_at(context.target, tag)
    back = _target(tag, at, context, name=name)
    manifest = context.target.manifest(back)
    if at is None or manifest is None:
        raise NothingToRollBack(f"{name} was at {back} before, and that image is gone", expected="it in the registry")
    good, signed, notes = [], [], []
    # By nature of an earlier suite: the one of its promotion counts.
    lenient = replace(demands, suite=None)
    for raw in context.store.read(back, "receipt"):
        label = f"attached receipt {sha256(raw)[7:19]}"
        try:
            sealed = envelope.parse(raw, name=label)
            signed.append(receipt_check.verify_signature(sealed, lenient, name=label))
            good.append(sealed)
        except Refusal as error:
            notes.append(error.message)
    if not good:
        raise ReceiptUnreadable(
            f"no receipt stands for {back}, where {name} was before" + "".join(f"; {note}" for note in notes),
            expected="a receipt attached by its promotion, by a key you know",
            hint="promote an image with its receipt instead",
        )
    receipt_check.require_groups([sealed.receipt for sealed in good], channels.groups_for([tag], require_gpu=False))
    return Rollback(tag, at, manifest, tuple(good), tuple(signed))


def _target(tag: str, at: str | None, context: PromotionContext, *, name: str) -> str:
    """Return the digest to go back to.

    Where a killed rollback has moved the tag already, the current one.
    """
    entries = context.entries()
    resumed = _of_killed_rollback(tag, at, entries, context.unsent())
    if resumed is not None:
        return resumed
    # A promotion killed after it moved the tag counts as done.
    moved = [replace(entry, state="done") for entry, move in _open_moves(tag, entries) if move.to == at]
    stack = promotion_log.history([*entries, *moved], repository=str(context.target.repository), tag=tag)
    if stack and stack[-1] != at:
        raise TagMovedElsewhere(
            f"{name} is at {at or 'nothing'}, the log put it at {stack[-1]}",
            expected="a tag that only vldock promote moves",
            hint="look at it; vldock promote REGISTRY@DIGEST --move sets it, with a receipt",
        )
    if len(stack) < 2:
        raise NothingToRollBack(f"{name} was never at another image", expected="a tag that was moved before")
    return stack[-2]


def _of_killed_rollback(tag: str, at: str | None, entries: Sequence[Entry], unsent: Sequence[Entry]) -> str | None:
    """Return the target of this tag's killed rollback, or None."""
    for entry in unsent:
        if entry.action == "rollback" and entry.state == "done" and (tag, at) in {(m.tag, m.to) for m in entry.moves}:
            return str(at)  # killed before its last line was in the registry: once more would be one too many
    for entry, move in _open_moves(tag, entries):
        if entry.action == "rollback" and at in (move.at, move.to):
            return move.to
    return None


def _open_moves(tag: str, entries: Sequence[Entry]) -> list[tuple[Entry, Move]]:
    """Return the unfinished moves of a tag."""
    return [
        (entry, move) for entry in promotion_log.find_unfinished(entries) for move in entry.moves if move.tag == tag
    ]


def execute(rollback: Rollback, context: PromotionContext) -> PromotionOutcome:
    """Move the tag back, once its image was read back completely.

    Twice goes back twice.
    """
    receipts = [receipt.receipt for receipt in rollback.receipts]
    verify_stored(context.target, rollback.manifest, receipts)
    digest = rollback.manifest.digest
    made = Entry(
        id=uuid.uuid4().hex,
        state="started",
        time=utc_now(),
        action="rollback",
        repository=str(context.target.repository),
        digest=digest,
        config=rollback.manifest.config.digest,
        moves=(Move(rollback.tag, rollback.at, digest),) if rollback.at != digest else (),
        receipts=tuple(receipt.digest for receipt in rollback.receipts),
        signed=rollback.signed,
        source=f"{context.target.repository}@{digest}",
        vldock=__version__,
    )
    return PromotionOutcome(digest, change_tags(made, [rollback.tag], rollback.manifest, context), Traffic())
