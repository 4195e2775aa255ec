"""Which receipts speak for the image that is to be promoted: those given, and those earlier promotions attached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.host.errors import OtherSbom, Refusal
from vldock.host.images.identity import ImageIdentity
from vldock.host.promotion import channels
from vldock.host.promotion.artifacts import ArtifactStore
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts import envelope
from vldock.host.receipts.check import Demands
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.registry.client import Manifest, sha256
from vldock.host.registry.reference import Repository


@dataclass(frozen=True)
class PromotionRequest:
    """What the user asked for."""

    target: Repository
    tags: tuple[str, ...]
    receipts: tuple[Path, ...]
    demands: Demands
    move: bool = False
    require_gpu: bool = False
    sbom: Path | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that must have passed."""
        return channels.groups_for(self.tags, require_gpu=self.require_gpu)


@dataclass(frozen=True)
class Subject:
    """The image to promote: what it is made of, and its manifest where it has one already."""

    name: str
    identity: ImageIdentity
    manifest: Manifest | None = None


def load_named(wish: PromotionRequest, subject: Subject) -> tuple[list[SealedReceipt], list[str]]:
    """Return the receipts the user named, and how each is signed; raises the Refusal of the first that fails."""
    sealed, signed = [], []
    for path in wish.receipts:
        receipt = envelope.load(path)
        signed.append(receipt_check.verify_signature(receipt, wish.demands, name=str(path)))
        receipt_check.require_same_image(receipt.receipt, subject.identity, image=subject.name)
        receipt_check.require_same_suite(receipt.receipt, wish.demands.suite)
        sealed.append(receipt)
    return sealed, signed


def find_attached(
    wish: PromotionRequest, subject: Subject, manifest: Manifest, shelves: Sequence[ArtifactStore]
) -> tuple[list[SealedReceipt], list[str]]:
    """Return the receipts of earlier steps that hold, and a note for each that does not."""
    good, notes = [], []
    for raw in {raw: None for shelf in shelves for raw in shelf.read(manifest.digest, "receipt")}:
        name = f"attached receipt {sha256(raw)[7:19]}"
        try:
            receipt = envelope.parse(raw, name=name)
            receipt_check.verify_signature(receipt, wish.demands, name=name)
            receipt_check.require_same_image(receipt.receipt, subject.identity, image=subject.name)
            receipt_check.require_same_suite(receipt.receipt, wish.demands.suite)
            good.append(receipt)
        except Refusal as error:
            notes.append(f"{name} does not count: {error.message}")
    return good, notes


def read_sbom(wish: PromotionRequest, receipts: Iterable[SealedReceipt]) -> bytes | None:
    """Return the SBOM to attach, or None; raises OtherSbom where it is not the one a receipt names."""
    if wish.sbom is None:
        return None
    try:
        content = wish.sbom.read_bytes()
    except OSError as error:
        raise OtherSbom(f"--sbom {wish.sbom}: {error.strerror}", expected="the file `vldock sbom` wrote") from error
    named = {receipt.receipt.sbom for receipt in receipts} - {None}
    if sha256(content) not in named:
        raise OtherSbom(
            f"{wish.sbom} is {sha256(content)}",
            expected=f"the SBOM a receipt names: {', '.join(map(str, named)) or 'none of them names one'}",
            hint="vldock verify with --sbom puts it into the receipt",
        )
    return content
