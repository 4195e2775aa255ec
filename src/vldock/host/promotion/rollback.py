"""Take a moving tag back to the image it was at before, as the promotion log tells, if that image still holds."""

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
    """A tag that may go back from `at` to the image of `manifest`, which its attached receipts speak for."""

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


def make(tag: str, work: PromotionContext, demands: Demands) -> Rollback:
    """Return what to do; raises NothingToRollBack, TagMovedElsewhere, or ReceiptUnreadable where none holds."""
    name = f"{work.target.repository}:{tag}"
    at = digest_at(work.target, tag)
    back = _target(tag, at, work, name=name)
    manifest = work.target.manifest(back)
    if at is None or manifest is None:
        raise NothingToRollBack(f"{name} was at {back} before, and that image is gone", expected="it in the registry")
    good, signed, notes = [], [], []
    # Of an earlier suite by nature: what it was promoted with is what counts.
    lenient = replace(demands, suite=None)
    for raw in work.shelf.read(back, "receipt"):
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


def _target(tag: str, at: str | None, work: PromotionContext, *, name: str) -> str:
    """Return the digest to go back to; where a killed rollback had moved the tag already, the one it is at."""
    entries = work.entries()
    for entry in work.unsent():
        if entry.action == "rollback" and entry.state == "done" and (tag, at) in {(m.tag, m.to) for m in entry.moves}:
            return str(at)  # killed before its last line was in the registry: once more would be one too many
    opened = [
        (entry, move) for entry in promotion_log.find_unfinished(entries) for move in entry.moves if move.tag == tag
    ]
    for entry, move in opened:
        if entry.action == "rollback" and at in (move.at, move.to):
            return move.to
    opened_here: Sequence[Entry] = [replace(entry, state="done") for entry, move in opened if move.to == at]
    stack = promotion_log.history([*entries, *opened_here], repository=str(work.target.repository), tag=tag)
    if stack and stack[-1] != at:
        raise TagMovedElsewhere(
            f"{name} is at {at or 'nothing'}, the log put it at {stack[-1]}",
            expected="a tag that only vldock promote moves",
            hint="look at it; vldock promote REGISTRY@DIGEST --move sets it, with a receipt",
        )
    if len(stack) < 2:
        raise NothingToRollBack(f"{name} was never at another image", expected="a tag that was moved before")
    return stack[-2]


def execute(rollback: Rollback, work: PromotionContext) -> PromotionOutcome:
    """Move the tag back, once the image there was read back whole; twice goes back twice."""
    receipts = [receipt.receipt for receipt in rollback.receipts]
    verify_stored(work.target, rollback.manifest, receipts)
    digest = rollback.manifest.digest
    made = Entry(
        id=uuid.uuid4().hex,
        state="started",
        time=utc_now(),
        action="rollback",
        repository=str(work.target.repository),
        digest=digest,
        config=rollback.manifest.config.digest,
        moves=(Move(rollback.tag, rollback.at, digest),) if rollback.at != digest else (),
        receipts=tuple(receipt.digest for receipt in rollback.receipts),
        signed=rollback.signed,
        source=f"{work.target.repository}@{digest}",
        vldock=__version__,
    )
    return PromotionOutcome(digest, change_tags(made, [rollback.tag], rollback.manifest, work), Traffic())
