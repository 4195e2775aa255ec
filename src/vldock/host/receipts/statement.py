"""The receipt of an image's passed tests: an in-toto statement, schema 1.

An image is named by its content, never by a tag: the digest of its config (Docker's image ID) and the digests
of its uncompressed layers in their order (diff_ids). Both are the same in an engine, a saved tar and any registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from vldock.host.images.identity import ImageIdentity

SCHEMA = 1
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:vldock:receipt:v1"

CPU_GROUPS = ("static", "users", "offline", "inside", "matrix")
GPU_GROUP = "gpu"
BENCH_GROUP = "mini-benchmark"
GROUPS = (*CPU_GROUPS, GPU_GROUP, BENCH_GROUP)

Status = Literal["passed", "failed", "skipped"]
Signing = Literal["ed25519", "unsigned"]


@dataclass(frozen=True)
class Band:
    """A score of the mini-benchmark, and its bounds.

    0-100, both ends included.
    """

    name: str
    score: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the score lies within its bounds."""
        return self.low <= self.score <= self.high


@dataclass(frozen=True)
class GroupResult:
    """Result of one group of tests.

    Counts, names of failed tests, reason of a skip.

    It is the last of `attempts` on the same image with the same tests; `earlier` is one line on each before it.
    Raises ValueError for an undeclared name, and where status and counts contradict each other.
    """

    name: str
    status: Status
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()
    reason: str | None = None
    bands: tuple[Band, ...] = ()
    attempts: int = 1
    earlier: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        outside = [band.name for band in self.bands if not band.holds]
        contradictions = {
            f"no such group: {self.name}": self.name not in GROUPS,
            f"{self.name}: no such status: {self.status}": self.status not in get_args(Status),
            f"{self.name}: a negative count": min(self.passed, self.failed, self.skipped) < 0,
            f"{self.name}: passed, and {self.failed} tests failed": self.status == "passed" and self.failed > 0,
            f"{self.name}: passed, and no test did": self.status == "passed" and self.passed == 0,
            f"{self.name}: passed, and out of bounds: {', '.join(outside)}": self.status == "passed" and bool(outside),
            f"{self.name}: skipped without a reason": self.status == "skipped" and not self.reason,
            f"{self.name}: attempt {self.attempts}, {len(self.earlier)} before it": self.attempts
            != len(self.earlier) + 1,
        }
        for what, holds in contradictions.items():
            if holds:
                raise ValueError(what)

    def after(self, before: GroupResult) -> GroupResult:
        """Return this result as the attempt after `before`, kept in `earlier`."""
        return replace(self, attempts=before.attempts + 1, earlier=(*before.earlier, before.outcome()))

    def outcome(self) -> str:
        """Return status, counts, reason and the names of failed tests in one line."""
        counts = ", ".join(
            f"{count} {word}"
            for count, word in ((self.passed, "passed"), (self.failed, "failed"), (self.skipped, "skipped"))
            if count
        )
        more = "; ".join(filter(None, (counts, self.reason, ", ".join(self.failures))))
        return self.status + (f" ({more})" if more else "")

    def __str__(self) -> str:
        before = f"; attempt {self.attempts}, before: {'; '.join(self.earlier)}" if self.earlier else ""
        return f"{self.name}: {self.outcome()}{before}"


@dataclass(frozen=True)
class Inputs:
    """Digests of the lock, tests and patches that judged an image.

    sha256 in hexadecimal; of tests and patches, over their trees.
    """

    lock: str
    tests: str
    patches: str


@dataclass(frozen=True)
class Receipt:
    """Statement of a receipt.

    `manifest` and `sbom` are 'sha256:...' or None, `time` is ISO 8601 in UTC. `name` is the image's name at its
    verification and proves nothing; `gpu` names the device or is None. `signing` states whether the file must carry a
    signature, so that a removed one is detected.
    """

    name: str
    image: ImageIdentity
    manifest: str | None
    base: str
    base_digest: str | None
    inputs: Inputs
    engine: str
    groups: tuple[GroupResult, ...]
    gpu: str | None
    time: str
    vldock: str
    signing: Signing
    sbom: str | None = None

    def group(self, name: str) -> GroupResult | None:
        """Return the result of a group, or None where it was not run."""
        return next((group for group in self.groups if group.name == name), None)

    def to_bytes(self) -> bytes:
        """Return the statement as JSON; equal receipts give equal bytes."""
        predicate = {"schema": SCHEMA, **asdict(self)}
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": {"sha256": self.image.config.removeprefix("sha256:")}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
        return json.dumps(statement, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Receipt:
        """Read a statement.

        Raises ValueError, with the fault, where it is no receipt of this schema.
        """
        try:
            statement = json.loads(raw)
            predicate = dict(statement["predicate"])
            if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
                raise ValueError(f"a statement of another kind: {statement['predicateType']}")
            if predicate.pop("schema") != SCHEMA:
                raise ValueError(f"schema {statement['predicate']['schema']}, not {SCHEMA}")
            predicate["image"] = ImageIdentity(predicate["image"]["config"], tuple(predicate["image"]["layers"]))
            predicate["inputs"] = Inputs(**predicate["inputs"])
            predicate["groups"] = tuple(map(_group, predicate["groups"]))
            receipt = cls(**predicate)
            subject = statement["subject"][0]["digest"]["sha256"]
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"a field is missing or of the wrong kind: {error}") from error
        if f"sha256:{subject}" != receipt.image.config:
            raise ValueError(f"its subject sha256:{subject} is not its image {receipt.image.config}")
        return receipt


def _group(raw: Mapping[str, Any]) -> GroupResult:
    bands = tuple(Band(**band) for band in raw["bands"])
    lists = {name: tuple(raw.get(name, ())) for name in ("failures", "earlier")}
    return GroupResult(**{**raw, **lists, "bands": bands})


def find_missing_groups(receipts: Sequence[Receipt], wanted: Sequence[str]) -> dict[str, GroupResult | None]:
    """Return the groups of `wanted` without a pass in a receipt.

    Each with its skipped or failed result, or None.
    """
    found: dict[str, GroupResult | None] = {}
    for name in wanted:
        results = [result for receipt in receipts if (result := receipt.group(name)) is not None]
        if not any(result.status == "passed" for result in results):
            found[name] = results[0] if results else None
    return found


def failed_groups(receipts: Sequence[Receipt]) -> list[GroupResult]:
    """Return every group of these receipts that failed."""
    return [group for receipt in receipts for group in receipt.groups if group.status == "failed"]
