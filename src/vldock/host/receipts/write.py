"""Write the receipt of a verification: what `vldock verify` calls when its groups have run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def write_receipt(
    path: Path,
    *,
    client: Any,
    image: str,
    groups: Sequence[GroupResult],
    key: Path | None = None,
    name: str | None = None,
    gpu: str | None = None,
    sbom: Path | str | None = None,
    inputs: Inputs | None = None,
    folder: Path | None = None,
    now: datetime | None = None,
) -> SealedReceipt:
    """Write the receipt of `image` (in the engine of the SDK's `client`) to `path` and return it.

    `image` should be the id that was tested: a name may have been moved since. `name` is what a person calls it.

    `groups` are the results, in the order they ran; see vldock.host.receipts.statement.GROUPS for the names that count.
    `key` is an Ed25519 private key; without one the receipt says that it is unsigned. `gpu` names the device, or is
    None where there was none. `sbom` is a file whose sha256 goes in, or that sha256. `inputs` are the lock, tests and
    patches that judged the image, taken before the tests ran; None: those of the checkout `folder` as it is now. The
    lock is the image's own, where the image tells it.

    Raises EnvironmentUnfit where the engine has no such image, UsageError where the key is none, ValueError where a
    group was given twice.
    """
    names = [group.name for group in groups]
    if len(names) != len(set(names)):
        raise ValueError(f"a group was given twice: {', '.join(names)}")
    folder = folder or checkout.root()
    private = envelope.load_private(key) if key else None
    found = local_images.find(client, image)
    judged = inputs or receipt_suite.read_inputs(folder)
    facts = image_facts.read_build_facts(client, found)
    base, base_digest = image_facts.read_base(client, found, facts)
    receipt = Receipt(
        name=name or image,
        image=local_images.read_identity(client, found),
        manifest=image_facts.read_manifest_digest(found, name or image),
        base=base,
        base_digest=base_digest,
        inputs=replace(judged, lock=image_facts.read_lock(found, facts) or judged.lock),
        engine=describe_engine(client),
        groups=tuple(groups),
        gpu=gpu,
        time=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        vldock=__version__,
        signing="unsigned",
        sbom=f"sha256:{hashing.sha256_file(sbom)}" if isinstance(sbom, Path) else sbom,
    )
    sealed = envelope.seal(receipt, private)
    envelope.save(sealed, path)
    return sealed


def describe_engine(client: Any) -> str:
    """Return one line on the engine: version, storage driver, platform."""
    info = client.info()
    where = f"{info.get('OSType')}/{info.get('Architecture')}"
    return f"docker {info.get('ServerVersion')} ({info.get('Driver')}, {where})"
