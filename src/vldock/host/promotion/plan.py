"""Plan of a promotion: image, receipts, tags and their moves. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vldock.host.errors import ReceiptUnreadable, Refusal, TagWouldMove
from vldock.host.images.identity import ImageIdentity
from vldock.host.promotion import channels
from vldock.host.promotion import receipts as promotion_receipts
from vldock.host.promotion.artifacts import ArtifactStore
from vldock.host.promotion.receipts import PromotionRequest, Subject
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts import envelope
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.registry.client import Manifest, Remote
from vldock.host.registry.reference import Repository


@dataclass(frozen=True)
class Tag:
    """A tag of the plan and its current manifest digest.

    None: there is no such tag.
    """

    name: str
    at: str | None
    fixed: bool = False


@dataclass(frozen=True)
class PromotionPlan:
    """A permitted promotion.

    `manifest` is None where the image must still be packed for its first push.
    """

    subject: Subject
    target: Repository
    manifest: Manifest | None
    tags: tuple[Tag, ...]
    receipts: tuple[SealedReceipt, ...]
    signed: tuple[str, ...]
    sbom: bytes | None
    notes: tuple[str, ...] = field(default=())

    @property
    def moves(self) -> tuple[Tag, ...]:
        """Tags not yet at the image."""
        digest = self.manifest.digest if self.manifest else None
        return tuple(tag for tag in self.tags if digest is None or tag.at != digest)

    def lines(self) -> list[str]:
        """Return the plan as lines for a person."""
        lines = [
            f"image     {self.subject.name}, config {self.subject.identity.config}",
            f"to        {self.target}",
            f"digest    {self.manifest.digest if self.manifest else 'known once the layers are packed'}",
        ]
        for sealed in self.receipts:
            lines.append(f"receipt   {sealed.digest[:19]} of {sealed.receipt.time}, {_signers(sealed)}")
            lines += [f"          {group}" for group in sealed.receipt.groups]
        lines += ["attach    the SBOM"] if self.sbom else []
        for tag in self.tags:
            what = "is there already" if tag not in self.moves else f"moves from {tag.at}" if tag.at else "new"
            lines.append(f"tag       {tag.name}{' (never moves)' if tag.fixed else ''}: {what}")
        return lines + [f"note      {note}" for note in self.notes]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        digest = self.manifest.digest if self.manifest else None
        return {
            "source": self.subject.name,
            "target": str(self.target),
            "config": self.subject.identity.config,
            "digest": digest,
            "tags": [{"tag": tag.name, "at": tag.at, "moves": tag in self.moves} for tag in self.tags],
            "receipts": [receipt.digest for receipt in self.receipts],
            "signed": list(self.signed),
            "notes": list(self.notes),
        }


def _signers(sealed: SealedReceipt) -> str:
    return f"signed by {', '.join(key[:12] for key in sealed.keys)}" if sealed.keys else "UNSIGNED"


def make(
    request: PromotionRequest, subject: Subject, *, target: Remote, stores: Sequence[ArtifactStore]
) -> PromotionPlan:
    """Return the plan; `stores` may hold receipts of earlier steps.

    Raises the Refusal that forbids it.
    """
    existing = subject.manifest or _same_config(target, subject.identity, _likely(request, subject.identity))
    sealed, signed = promotion_receipts.load_named(request, subject)
    found, notes = promotion_receipts.find_attached(request, subject, existing, stores) if existing else ([], [])
    known = {receipt.digest: receipt for receipt in (*sealed, *found)}
    if not known:
        raise ReceiptUnreadable(
            f"no receipt for {subject.name}",
            expected="--receipt FILE, or one attached by an earlier promotion" + "".join(f"; {note}" for note in notes),
            hint=f"vldock verify {subject.name}",
        )
    receipt_check.require_groups([receipt.receipt for receipt in known.values()], request.groups)
    tags = _tags(target, request, next(iter(known.values())), existing, subject.identity)
    plan = PromotionPlan(
        subject=subject,
        target=request.target,
        manifest=existing,
        tags=tags,
        receipts=tuple(known.values()),
        signed=tuple(dict.fromkeys(signed)),
        sbom=promotion_receipts.read_sbom(request, known.values()),
        notes=tuple(notes),
    )
    _refuse_moves(plan, request)
    return plan


def _likely(request: PromotionRequest, identity: ImageIdentity) -> list[str]:
    """Return the target's possible tags of this image.

    Where one of them has it, the image is not packed twice.
    """
    locks: list[str] = []
    for path in request.receipts:
        with suppress(Refusal):  # raised, with its reason, where the receipt is checked
            lock = envelope.load(path).receipt.inputs.lock
            short = channels.immutable_tag(lock)
            locks += [channels.immutable_tag_of_two(lock, identity.config), short]
    return list(dict.fromkeys([*locks, *request.tags, *(channel.tag for channel in channels.CHANNELS)]))


def _same_config(target: Remote, identity: ImageIdentity, tags: Iterable[str]) -> Manifest | None:
    """Return the image's manifest in the target, or None.

    Where it is there, it is not pushed again under another digest.
    """
    for tag in tags:
        found = target.manifest(tag)
        if found and "config" in found.content and found.config.digest == identity.config:
            return found
    return None


def _tags(
    target: Remote, request: PromotionRequest, sealed: SealedReceipt, existing: Manifest | None, identity: ImageIdentity
) -> tuple[Tag, ...]:
    """Return the tags in the order they are set.

    The fixed one, custom ones, the channels' last.
    """
    lock = sealed.receipt.inputs.lock
    fixed = Tag(channels.immutable_tag(lock), None, fixed=True)
    at = digest_at(target, fixed.name)
    if at is not None and (existing is None or at != existing.digest):
        fixed = Tag(channels.immutable_tag_of_two(lock, identity.config), None, fixed=True)
        at = digest_at(target, fixed.name)
    last = [channel.tag for channel in channels.CHANNELS]
    others = sorted(request.tags, key=lambda tag: (tag in last, request.tags.index(tag)))
    moving = [Tag(name, digest_at(target, name)) for name in others if name != fixed.name]
    return (Tag(fixed.name, at, fixed=True), *moving)


def digest_at(target: Remote, tag: str) -> str | None:
    """Return the manifest digest of a tag, or None."""
    found = target.manifest(tag)
    return found.digest if found else None


def _refuse_moves(plan: PromotionPlan, request: PromotionRequest) -> None:
    """Raise TagWouldMove for a tag at another image.

    The user may allow the move. A fixed tag never moves.
    """
    for tag in plan.moves:
        if tag.at is not None and (tag.fixed or not request.move):
            raise TagWouldMove(
                f"{plan.target}:{tag.name} is at {tag.at}, another image",
                expected="a tag that is new or at this image" if not tag.fixed else "a tag that never moves",
                hint="promote under another tag" if tag.fixed else "add --move to move it; --rollback moves it back",
            )
