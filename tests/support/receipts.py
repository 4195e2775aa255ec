"""Receipts with every field filled; any field can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.saved_image import LOCK
from vldock.host.images.identity import ImageIdentity
from vldock.host.receipts import envelope
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.receipts.statement import CPU_GROUPS, GROUPS, GroupResult, Inputs, Receipt, Status
from vldock.host.util import checkout

IMAGE = ImageIdentity("sha256:" + "1" * 64, ("sha256:" + "2" * 64, "sha256:" + "3" * 64))


def group(name: str, status: Status = "passed") -> GroupResult:
    """Return a group's result of one test with this status."""
    reason = "no GPU here" if status == "skipped" else None
    failures = ("test_x",) if status == "failed" else ()
    return GroupResult(name, status, **{status: 1}, failures=failures, reason=reason)


def groups(**statuses: Status) -> tuple[GroupResult, ...]:
    """Return the CPU groups, passed by default.

    A keyword changes one or adds one (mini_benchmark for mini-benchmark).
    """
    by_name: Mapping[str, Status] = dict.fromkeys(CPU_GROUPS, "passed") | {
        name.replace("_", "-"): status for name, status in statuses.items()
    }
    return tuple(group(name, by_name[name]) for name in GROUPS if name in by_name)


def suite() -> Inputs:
    """Return the receipt inputs of this checkout.

    The lock is that of the tiny images.
    """
    return receipt_suite.read_inputs(checkout.root(), lock=LOCK)


def receipt(image: ImageIdentity = IMAGE, **changes: Any) -> Receipt:
    """Return a receipt of an image that passed the CPU groups."""
    values: dict[str, Any] = {
        "name": "vldock:4.37",
        "image": image,
        "manifest": None,
        "base": "vldock-base:bookworm",
        "base_digest": None,
        "inputs": changes.pop("inputs", None) or suite(),
        "engine": "docker 20.10",
        "groups": groups(),
        "gpu": None,
        "time": "2026-11-01T12:00:00+00:00",
        "vldock": "0.1.0",
        "signing": "unsigned",
    }
    return Receipt(**(values | changes))


def sealed(path: Path, image: ImageIdentity = IMAGE, *, key: Path | None = None, **changes: Any) -> SealedReceipt:
    """Write a receipt file, signed with the private key where one is given."""
    made = envelope.seal(receipt(image, **changes), envelope.load_private(key) if key else None)
    envelope.save(made, path)
    return made
