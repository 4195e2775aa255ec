"""Receipt of a finished verification, written at the end of `vldock verify`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock import __version__
from vldock.common import hashing
from vldock.host.images import local as local_images
from vldock.host.receipts import envelope, image_facts
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts.envelope import SealedReceipt
from vldock.host.receipts.statement import GroupResult, Inputs, Receipt
from vldock.host.util import checkout


@dataclass(frozen=True)
class Verification:
    """A finished verification, as its receipt states it.

    `image` should be the tested id, since a name may have moved meanwhile; `name` is what a person calls it.
    `groups` are the results in the order they ran; vldock.host.receipts.statement.GROUPS has the names that count.
    `gpu` names the device, or is None where there was none. `sbom` is a file whose sha256 goes in, or that sha256.
    `inputs` are the lock, tests and patches that judged the image, taken before the tests ran; None: those of the
    checkout as it is now. Raises ValueError where a group was given twice.
    """

    image: str
    groups: tuple[GroupResult, ...]
    name: str | None = None
    gpu: str | None = None
    sbom: Path | str | None = None
    inputs: Inputs | None = None

    def __post_init__(self) -> None:
        names = [group.name for group in self.groups]
        if len(names) != len(set(names)):
            raise ValueError(f"a group was given twice: {', '.join(names)}")


def write_receipt(
    path: Path,
    verification: Verification,
    *,
    client: Any,
    key: Path | None = None,
    folder: Path | None = None,
    now: datetime | None = None,
) -> SealedReceipt:
    """Write the receipt of a verification to `path` and return it.

    The image is looked up in the engine of the SDK's `client`. `key` is an Ed25519 private key; without one the receipt
    states that it is unsigned. `folder` is the checkout. Raises EnvironmentUnfit where the engine has no such image,
    UsageError where the key is none.
    """
    private = envelope.load_private(key) if key else None
    receipt = _make_receipt(verification, client=client, folder=folder or checkout.root(), now=now or datetime.now(UTC))
    sealed = envelope.seal(receipt, private)
    envelope.save(sealed, path)
    return sealed


def _make_receipt(verification: Verification, *, client: Any, folder: Path, now: datetime) -> Receipt:
    """Return the unsigned receipt of a verification.

    The lock is the image's own, where the image states it.
    """
    image, sbom = local_images.find(client, verification.image), verification.sbom
    name = verification.name or verification.image
    inputs = verification.inputs or receipt_suite.read_inputs(folder)
    facts = image_facts.read_build_facts(client, image)
    base, base_digest = image_facts.read_base(client, image, facts)
    return Receipt(
        name=name,
        image=local_images.read_identity(client, image),
        manifest=image_facts.read_manifest_digest(image, name),
        base=base,
        base_digest=base_digest,
        inputs=replace(inputs, lock=image_facts.read_lock(image, facts) or inputs.lock),
        engine=describe_engine(client),
        groups=verification.groups,
        gpu=verification.gpu,
        time=now.isoformat(timespec="seconds"),
        vldock=__version__,
        signing="unsigned",
        sbom=f"sha256:{hashing.sha256_file(sbom)}" if isinstance(sbom, Path) else sbom,
    )


def describe_engine(client: Any) -> str:
    """Return one line about the engine: version, storage driver, platform."""
    info = client.info()
    where = f"{info.get('OSType')}/{info.get('Architecture')}"
    return f"docker {info.get('ServerVersion')} ({info.get('Driver')}, {where})"
