"""Receipts for the image to promote.

Some are named, others were attached by earlier promotions.
"""

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
    """Request of the user."""

    target: Repository
    tags: tuple[str, ...]
    receipts: tuple[Path, ...]
    demands: Demands
    move: bool = False
    require_gpu: bool = False
    sbom: Path | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """Required groups of tests."""
        return channels.groups_for(self.tags, require_gpu=self.require_gpu)


@dataclass(frozen=True)
class Subject:
    """Image to promote: its identity, and its manifest if it exists."""

    name: str
    identity: ImageIdentity
    manifest: Manifest | None = None


def load_named(request: PromotionRequest, subject: Subject) -> tuple[list[SealedReceipt], list[str]]:
    """Return the named receipts, and how each is signed.

    Raises the Refusal of the first that fails.
    """
    sealed, signed = [], []
    for path in request.receipts:
        receipt = envelope.load(path)
        signed.append(receipt_check.verify_signature(receipt, request.demands, name=str(path)))
        receipt_check.require_same_image(receipt.receipt, subject.identity, image=subject.name)
        receipt_check.require_same_suite(receipt.receipt, request.demands.suite)
        sealed.append(receipt)
    return sealed, signed


def find_attached(
    request: PromotionRequest, subject: Subject, manifest: Manifest, stores: Sequence[ArtifactStore]
) -> tuple[list[SealedReceipt], list[str]]:
    """Return the valid receipts of earlier steps, and notes.

    Each invalid receipt has a note.
    """
    good, notes = [], []
    for raw in {raw: None for store in stores for raw in store.read(manifest.digest, "receipt")}:
        name = f"attached receipt {sha256(raw)[7:19]}"
        try:
            receipt = envelope.parse(raw, name=name)
            receipt_check.verify_signature(receipt, request.demands, name=name)
            receipt_check.require_same_image(receipt.receipt, subject.identity, image=subject.name)
            receipt_check.require_same_suite(receipt.receipt, request.demands.suite)
            good.append(receipt)
        except Refusal as error:
            notes.append(f"{name} does not count: {error.message}")
    return good, notes


def read_sbom(request: PromotionRequest, receipts: Iterable[SealedReceipt]) -> bytes | None:
    """Return the SBOM to attach, or None.

    Raises OtherSbom where no receipt names it.
    """
    if request.sbom is None:
        return None
    try:
        content = request.sbom.read_bytes()
    except OSError as error:
        raise OtherSbom(f"--sbom {request.sbom}: {error.strerror}", expected="the file `vldock sbom` wrote") from error
    named = {receipt.receipt.sbom for receipt in receipts} - {None}
    if sha256(content) not in named:
        raise OtherSbom(
            f"{request.sbom} is {sha256(content)}",
            expected=f"the SBOM a receipt names: {', '.join(map(str, named)) or 'none of them names one'}",
            hint="vldock verify with --sbom puts it into the receipt",
        )
    return content
