"""Checks of a receipt: image, signature, tests, groups.

Each failed check has its own error in host/errors.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Key  # type: ignore[attr-defined]  # its own __init__

from vldock.host.errors import GpuMissing, GroupFailed, GroupMissing, OtherImage, OtherSuite
from vldock.host.images.identity import ImageIdentity
from vldock.host.receipts import envelope
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.receipts.statement import CPU_GROUPS, GPU_GROUP, Inputs, Receipt, failed_groups, find_missing_groups


@dataclass(frozen=True)
class Demands:
    """Requirements on a receipt.

    Signed by one of `keys`, made with `suite` (None: any), these groups passed.
    """

    keys: tuple[Key, ...] = ()
    allow_unsigned: bool = False
    suite: Inputs | None = None
    groups: tuple[str, ...] = CPU_GROUPS


def check(sealed: SealedReceipt, identity: ImageIdentity, demands: Demands, *, name: str, image: str) -> list[str]:
    """Return the lines that prove the receipt called `name` good for `image`.

    Raises a Refusal where it is not.
    """
    signed = verify_signature(sealed, demands, name=name)
    require_same_image(sealed.receipt, identity, image=image)
    require_same_suite(sealed.receipt, demands.suite)
    require_groups([sealed.receipt], demands.groups)
    return [
        f"image     {identity.config}, {len(identity.layers)} layers",
        f"signature {signed}",
        f"suite     {'the same as here' if demands.suite else 'not compared'}",
        *(f"group     {group}" for group in sealed.receipt.groups),
    ]


def verify_signature(sealed: SealedReceipt, demands: Demands, *, name: str) -> str:
    """Return how the receipt is signed; raises as `envelope.verify` does."""
    return envelope.verify(sealed, demands.keys, name=name, allow_unsigned=demands.allow_unsigned)


def require_same_image(receipt: Receipt, identity: ImageIdentity, *, image: str) -> None:
    """Raise OtherImage where the receipt is of another image.

    The error has the number of common layers.
    """
    if receipt.image == identity:
        return
    pairs = zip(receipt.image.layers, identity.layers, strict=False)
    same = sum(1 for theirs, ours in pairs if theirs == ours)
    raise OtherImage(
        f"{image} is {identity.config}, the receipt is of {receipt.image.config} ({receipt.name}); "
        f"{same} of {len(identity.layers)} layers are the same",
        expected="the very image that was verified",
        hint=f"vldock verify {image}, or name the image of this receipt",
    )


def require_same_suite(receipt: Receipt, suite: Inputs | None) -> None:
    """Raise OtherSuite where the tests or patches differ from `suite`."""
    if suite is None:
        return
    for what, theirs, ours in (
        ("tests", receipt.inputs.tests, suite.tests),
        ("patches", receipt.inputs.patches, suite.patches),
    ):
        if theirs != ours:
            raise OtherSuite(
                f"the receipt of {receipt.time} was made with {what} {theirs[:12]}, this checkout has {ours[:12]}",
                expected="a receipt made with the tests and patches of this checkout",
                hint="vldock verify again; or check out the revision that made the receipt",
            )


def require_groups(receipts: Sequence[Receipt], groups: Sequence[str]) -> None:
    """Raise unless no group failed and each of `groups` passed.

    GroupFailed, GroupMissing or GpuMissing; a group may have passed in any of the receipts.
    """
    failed = failed_groups(receipts)
    if failed:
        raise GroupFailed(
            "; ".join(map(str, failed)), expected="no group of tests failed", hint="vldock verify --group NAME"
        )
    for name, result in find_missing_groups(receipts, groups).items():
        why = f"group {name} was skipped: {result.reason}" if result else f"group {name} was not run"
        if name == GPU_GROUP:
            raise GpuMissing(
                why, expected="a receipt in which gpu passed", hint="vldock verify --require-gpu, on a machine with one"
            )
        raise GroupMissing(why, expected=f"passed: {', '.join(groups)}", hint=f"vldock verify --group {name}")
