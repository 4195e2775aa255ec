"""Receipts a promotion demands: groups of the channel, signatures, tests, SBOM."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import receipts
from support.fake_registry import HOST
from support.promotion_fixture import CANDIDATE, FIXED, NAME, RELEASE, STABLE, Shop

from vldock.host.errors import (
    BadSignature,
    GpuMissing,
    GroupFailed,
    GroupMissing,
    OtherImage,
    OtherSbom,
    OtherSuite,
    ReceiptUnreadable,
    Refusal,
    UnknownKey,
    Unsigned,
)
from vldock.host.promotion.artifacts import RegistryArtifacts
from vldock.host.receipts import envelope as receipt_sign
from vldock.host.receipts.statement import Band, GroupResult
from vldock.host.registry.client import Manifest, sha256

REFUSED: dict[str, tuple[type[Refusal], Callable[[Shop], Path]]] = {
    "none": (ReceiptUnreadable, lambda shop: shop.folder / "absent.json"),
    "another image": (OtherImage, lambda shop: shop.receipt(shop.image(seed=2))),
    "older tests": (
        OtherSuite,
        lambda shop: shop.receipt(shop.image(), inputs=replace(receipts.suite(), tests="0" * 64)),
    ),
    "older patches": (
        OtherSuite,
        lambda shop: shop.receipt(shop.image(), inputs=replace(receipts.suite(), patches="0" * 64)),
    ),
    "failed group": (GroupFailed, lambda shop: shop.receipt(shop.image(), receipts.groups(offline="failed"))),
    "skipped group": (GroupMissing, lambda shop: shop.receipt(shop.image(), receipts.groups(matrix="skipped"))),
    "one group only": (GroupMissing, lambda shop: shop.receipt(shop.image(), [receipts.group("static")])),
    "unsigned": (Unsigned, lambda shop: _unsigned(shop)),
    "another key": (UnknownKey, lambda shop: _other_key(shop)),
    "edited": (BadSignature, lambda shop: _edited(shop)),
}


def _unsigned(shop: Shop) -> Path:
    receipts.sealed(shop.folder / "unsigned.json", shop.image().identity)
    return shop.folder / "unsigned.json"


def _other_key(shop: Shop) -> Path:
    private = receipt_sign.keygen(shop.folder / "stranger")[0]
    receipts.sealed(shop.folder / "stranger.json", shop.image().identity, key=private)
    return shop.folder / "stranger.json"


def _edited(shop: Shop) -> Path:
    path = shop.receipt(shop.image())
    envelope = json.loads(path.read_text())
    failed = receipts.receipt(shop.image().identity, groups=receipts.groups(gpu="passed"), signing="ed25519")
    envelope["payload"] = receipt_sign.Envelope(failed.to_bytes(), "", {}).to_dict()["payload"]
    path.write_text(json.dumps(envelope))
    return path


def test_channels_are_one_digest_and_each_asks_for_its_own_groups(shop: Shop) -> None:
    image = shop.image()
    _, first = shop.promote(image, shop.wish(shop.receipt(image)))
    here = f"registry:{HOST}/{NAME}:{CANDIDATE}"
    gpu = shop.receipt(image, [receipts.group("gpu")], gpu="H100")
    bench = shop.receipt(image, [GroupResult("mini-benchmark", "passed", 1, bands=(Band("POPE", 85, 80, 90),))])

    with pytest.raises(GpuMissing):
        shop.promote(here, shop.wish(tags=[STABLE]))
    shop.promote(here, shop.wish(gpu, tags=[STABLE]))
    with pytest.raises(GroupMissing, match="mini-benchmark"):
        shop.promote(here, shop.wish(tags=[RELEASE]))
    shop.promote(here, shop.wish(bench, tags=[RELEASE]))

    assert first
    assert shop.tags() == dict.fromkeys([FIXED, CANDIDATE, STABLE, RELEASE], first.digest)


@pytest.mark.parametrize(("gpu", "code"), [(None, 27), ("skipped", 27), ("failed", 25)])
def test_the_stable_tag_does_not_move_without_a_gpu_group_that_passed(shop: Shop, gpu: str | None, code: int) -> None:
    image = shop.image()
    made = receipts.groups(gpu=gpu) if gpu else receipts.groups()

    with pytest.raises(Refusal) as refused:
        shop.promote(image, shop.wish(shop.receipt(image, made), tags=[STABLE]))

    assert (refused.value.exit_code, shop.tags()) == (code, {})


def test_a_channels_tag_asks_for_its_groups_however_it_is_named(shop: Shop) -> None:
    image = shop.image()

    with pytest.raises(GpuMissing):
        shop.promote(image, shop.wish(shop.receipt(image), tags=["mine", STABLE]))


@pytest.mark.parametrize("forger", ["nobody", "a stranger"])
def test_a_receipt_somebody_else_attached_does_not_count(shop: Shop, forger: str) -> None:
    image = shop.image()
    _, done = shop.promote(image, shop.wish(shop.receipt(image)))
    assert done
    key = receipt_sign.keygen(shop.folder / "stranger")[0] if forger == "a stranger" else None
    forged = receipts.sealed(shop.folder / "x.json", image.identity, key=key, groups=[receipts.group("gpu")])
    raw, kind = shop.registry.manifests[NAME, done.digest]
    RegistryArtifacts(shop.registry.remote(NAME)).add(Manifest(raw, kind), "receipt", [forged.raw])

    with pytest.raises(GpuMissing):
        shop.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", shop.wish(tags=[STABLE]))
    plan, _ = shop.promote(image, shop.wish(tags=["mine"]), confirm=False)
    assert len(plan.notes) == 1


def test_require_gpu_asks_for_it_in_any_channel(shop: Shop) -> None:
    image = shop.image()

    with pytest.raises(GpuMissing, match="no GPU here"):
        shop.promote(image, shop.wish(shop.receipt(image, receipts.groups(gpu="skipped")), require_gpu=True))


@pytest.mark.parametrize("case", REFUSED)
def test_a_receipt_that_does_not_hold_is_refused_before_anything_is_sent(shop: Shop, case: str) -> None:
    error, receipt = REFUSED[case]

    with pytest.raises(error):
        shop.promote(shop.image(), shop.wish(receipt(shop)))

    assert not shop.registry.blobs
    assert not shop.registry.tags


def test_every_refusal_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in Refusal.__subclasses__()]

    assert sorted(codes) == list(range(20, 20 + len(codes)))


def test_no_receipt_at_all_is_refused(shop: Shop) -> None:
    with pytest.raises(ReceiptUnreadable, match="no receipt for"):
        shop.promote(shop.image(), shop.wish())


def test_the_sbom_must_be_the_one_a_receipt_names(shop: Shop, tmp_path: Path) -> None:
    image, sbom = shop.image(), tmp_path / "sbom.json"
    sbom.write_text("{}")

    with pytest.raises(OtherSbom):
        shop.promote(image, shop.wish(shop.receipt(image), sbom=sbom))
    _, done = shop.promote(image, shop.wish(shop.receipt(image, sbom=sha256(b"{}")), sbom=sbom))

    assert done
    assert f"sha256-{done.digest[7:]}.sbom" in shop.registry.state(NAME)
