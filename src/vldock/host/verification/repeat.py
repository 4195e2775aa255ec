"""Repeat of an earlier verification's groups into its receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # its own __init__

from vldock.common.errors import UsageError
from vldock.host.errors import ReceiptUnreadable
from vldock.host.images.identity import ImageIdentity
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts import envelope
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.receipts.statement import Inputs, Receipt
from vldock.host.verification.suite import TimedResult

RECEIPT, RESULTS = "receipt.json", "results.json"


@dataclass(frozen=True)
class EarlierVerification:
    """Earlier verification: folder, receipt, and seconds of each group.

    Its groups are repeated.
    """

    reports: Path
    receipt: Receipt
    seconds: Mapping[str, float]

    def require_groups(self, names: Sequence[str]) -> None:
        """Raise UsageError for a group not run before."""
        ran = [group.name for group in self.receipt.groups]
        for name in names:
            if name not in ran:
                raise UsageError(
                    f"--again {name}: it was not run in {self.reports}",
                    expected=f"one of {', '.join(ran)}",
                    hint=f"vldock verify --group {name}; receipts add up where they are promoted",
                )

    def keep_reports(self, names: Sequence[str]) -> None:
        """Rename the JUnit reports of groups to be repeated: inside.xml to inside.1.xml."""
        for name in names:
            report, group = self.reports / f"{name}.xml", self.receipt.group(name)
            if report.exists() and group is not None:
                report.replace(self.reports / f"{name}.{group.attempts}.xml")

    def merge(self, again: Sequence[TimedResult]) -> list[TimedResult]:
        """Return every group's result in the earlier order, with `again` as further attempts."""
        new = {one.result.name: one for one in again}
        found = []
        for group in self.receipt.groups:
            one = new.get(group.name)
            seconds = self.seconds.get(group.name, 0.0)
            found.append(TimedResult(one.result.after(group), one.seconds) if one else TimedResult(group, seconds))
        return found


def load(
    reports: Path | None, *, root: Path, image: ImageIdentity, name: str, suite: Inputs, key: Path | None
) -> EarlierVerification:
    """Return the verification in `reports`, or the latest of `image` below `root`.

    Raises ReceiptUnreadable where there is none, OtherImage and OtherSuite where image, tests or patches differ,
    BadSignature and UnknownKey where it was changed or is signed by another key than the private `key`, UsageError
    where it is signed and no key was given.
    """
    folder = reports or latest(root, image=image, name=name)
    sealed = envelope.load(folder / RECEIPT)
    require_unaltered(sealed, key, name=str(folder / RECEIPT))
    receipt_check.require_same_image(sealed.receipt, image, image=name)
    receipt_check.require_same_suite(sealed.receipt, suite)
    return EarlierVerification(folder, sealed.receipt, read_seconds(folder / RESULTS))


def latest(root: Path, *, image: ImageIdentity, name: str) -> Path:
    """Return the folder below `root` with the newest receipt.

    Receipts of `image` are preferred.
    """
    found = []
    for path in root.glob(f"*/{RECEIPT}"):
        try:
            receipt = envelope.load(path).receipt
        except ReceiptUnreadable:  # not ours to judge: try the next folder
            continue
        found.append((receipt.image == image, receipt.time, path.parent))
    if not found:
        raise ReceiptUnreadable(
            f"no verification of {name} in {root}",
            expected="the folder of an earlier `vldock verify`",
            hint=f"vldock verify {name}; or name it: --reports DIR",
        )
    return max(found)[2]


def require_unaltered(sealed: SealedReceipt, key: Path | None, *, name: str) -> None:
    """Raise unless an earlier receipt is unaltered.

    A forged result must not be signed again by us.
    """
    if sealed.keys and key is None:
        raise UsageError(
            f"{name} is signed, and --key was not given",
            expected="the private key it is signed with: the new receipt takes its place",
            hint="add --key FILE.key",
        )
    keys = [SSlibKey.from_crypto(envelope.load_private(key).public_key())] if key else []
    envelope.verify(sealed, keys, name=name, allow_unsigned=True)


def read_seconds(path: Path) -> dict[str, float]:
    """Return the seconds of each group.

    Empty where results.json is gone or broken (the receipt has the results).
    """
    try:
        return {row["name"]: float(row["seconds"]) for row in json.loads(path.read_text(encoding="utf-8"))["groups"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
