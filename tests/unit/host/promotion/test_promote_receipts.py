"""Receipts a promotion demands: groups of the channel, signatures, tests, SBOM."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import receipts
from support.promotion_fixture import CANDIDATE, FIXED, NAME, RELEASE, STABLE, PromotionTestbed
from support.registries.fake_registry import HOST

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

REFUSED: dict[str, tuple[type[Refusal], Callable[[PromotionTestbed], Path]]] = {
    "none": (ReceiptUnreadable, lambda testbed: testbed.folder / "absent.json"),
    "another image": (OtherImage, lambda testbed: testbed.receipt(testbed.image(seed=2))),
    "older tests": (
        OtherSuite,
        lambda testbed: testbed.receipt(testbed.image(), inputs=replace(receipts.suite(), tests="0" * 64)),
    ),
    "older patches": (
        OtherSuite,
        lambda testbed: testbed.receipt(testbed.image(), inputs=replace(receipts.suite(), patches="0" * 64)),
    ),
    "failed group": (GroupFailed, lambda testbed: testbed.receipt(testbed.image(), receipts.groups(offline="failed"))),
    "skipped group": (
        GroupMissing,
        lambda testbed: testbed.receipt(testbed.image(), receipts.groups(matrix="skipped")),
    ),
    "one group only": (GroupMissing, lambda testbed: testbed.receipt(testbed.image(), [receipts.group("static")])),
    "unsigned": (Unsigned, lambda testbed: _unsigned(testbed)),
    "another key": (UnknownKey, lambda testbed: _other_key(testbed)),
    "edited": (BadSignature, lambda testbed: _edited(testbed)),
}


def _unsigned(testbed: PromotionTestbed) -> Path:
    receipts.sealed(testbed.folder / "unsigned.json", testbed.image().identity)
    return testbed.folder / "unsigned.json"


def _other_key(testbed: PromotionTestbed) -> Path:
    private = receipt_sign.keygen(testbed.folder / "stranger")[0]
    receipts.sealed(testbed.folder / "stranger.json", testbed.image().identity, key=private)
    return testbed.folder / "stranger.json"


def _edited(testbed: PromotionTestbed) -> Path:
    path = testbed.receipt(testbed.image())
    envelope = json.loads(path.read_text())
    failed = receipts.receipt(testbed.image().identity, groups=receipts.groups(gpu="passed"), signing="ed25519")
    envelope["payload"] = receipt_sign.Envelope(failed.to_bytes(), "", {}).to_dict()["payload"]
    path.write_text(json.dumps(envelope))
    return path


def test_channels_are_one_digest_and_each_asks_for_its_own_groups(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    _, first = testbed.promote(image, testbed.request(testbed.receipt(image)))
    here = f"registry:{HOST}/{NAME}:{CANDIDATE}"
    gpu = testbed.receipt(image, [receipts.group("gpu")], gpu="H100")
    bench = testbed.receipt(image, [GroupResult("mini-benchmark", "passed", 1, bands=(Band("POPE", 85, 80, 90),))])

    with pytest.raises(GpuMissing):
        testbed.promote(here, testbed.request(tags=[STABLE]))
    testbed.promote(here, testbed.request(gpu, tags=[STABLE]))
    with pytest.raises(GroupMissing, match="mini-benchmark"):
        testbed.promote(here, testbed.request(tags=[RELEASE]))
    testbed.promote(here, testbed.request(bench, tags=[RELEASE]))

    assert first
    assert testbed.tags() == dict.fromkeys([FIXED, CANDIDATE, STABLE, RELEASE], first.digest)


@pytest.mark.parametrize(("gpu", "code"), [(None, 27), ("skipped", 27), ("failed", 25)])
def test_the_stable_tag_does_not_move_without_a_gpu_group_that_passed(
    testbed: PromotionTestbed, gpu: str | None, code: int
) -> None:
    image = testbed.image()
    made = receipts.groups(gpu=gpu) if gpu else receipts.groups()

    with pytest.raises(Refusal) as refused:
        testbed.promote(image, testbed.request(testbed.receipt(image, made), tags=[STABLE]))

    assert (refused.value.exit_code, testbed.tags()) == (code, {})


def test_a_channels_tag_asks_for_its_groups_however_it_is_named(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    with pytest.raises(GpuMissing):
        testbed.promote(image, testbed.request(testbed.receipt(image), tags=["mine", STABLE]))


@pytest.mark.parametrize("forger", ["nobody", "a stranger"])
def test_a_receipt_somebody_else_attached_does_not_count(testbed: PromotionTestbed, forger: str) -> None:
    image = testbed.image()
    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))
    assert done
    key = receipt_sign.keygen(testbed.folder / "stranger")[0] if forger == "a stranger" else None
    forged = receipts.sealed(testbed.folder / "x.json", image.identity, key=key, groups=[receipts.group("gpu")])
    raw, kind = testbed.registry.manifests[NAME, done.digest]
    RegistryArtifacts(testbed.registry.remote(NAME)).add(Manifest(raw, kind), "receipt", [forged.raw])

    with pytest.raises(GpuMissing):
        testbed.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", testbed.request(tags=[STABLE]))
    plan, _ = testbed.promote(image, testbed.request(tags=["mine"]), confirm=False)
    assert len(plan.notes) == 1


def test_require_gpu_asks_for_it_in_any_channel(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    with pytest.raises(GpuMissing, match="no GPU here"):
        testbed.promote(
            image, testbed.request(testbed.receipt(image, receipts.groups(gpu="skipped")), require_gpu=True)
        )


@pytest.mark.parametrize("case", REFUSED)
def test_a_receipt_that_does_not_hold_is_refused_before_anything_is_sent(testbed: PromotionTestbed, case: str) -> None:
    error, receipt = REFUSED[case]

    with pytest.raises(error):
        testbed.promote(testbed.image(), testbed.request(receipt(testbed)))

    assert not testbed.registry.blobs
    assert not testbed.registry.tags


def test_every_refusal_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in Refusal.__subclasses__()]

    assert sorted(codes) == list(range(20, 20 + len(codes)))


def test_no_receipt_at_all_is_refused(testbed: PromotionTestbed) -> None:
    with pytest.raises(ReceiptUnreadable, match="no receipt for"):
        testbed.promote(testbed.image(), testbed.request())


def test_the_sbom_must_be_the_one_a_receipt_names(testbed: PromotionTestbed, tmp_path: Path) -> None:
    image, sbom = testbed.image(), tmp_path / "sbom.json"
    sbom.write_text("{}")

    with pytest.raises(OtherSbom):
        testbed.promote(image, testbed.request(testbed.receipt(image), sbom=sbom))
    _, done = testbed.promote(image, testbed.request(testbed.receipt(image, sbom=sha256(b"{}")), sbom=sbom))

    assert done
    assert f"sha256-{done.digest[7:]}.sbom" in testbed.registry.state(NAME)
