"""Promotion to a registry in memory: plan, order of steps, artifacts."""

from __future__ import annotations

import json

from support import receipts
from support.promotion_fixture import CANDIDATE, FIXED, NAME, STABLE, PromotionTestbed


def test_a_plan_changes_nothing(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    plan, done = testbed.promote(image, testbed.request(testbed.receipt(image)), confirm=False)

    assert done is None
    assert [tag.name for tag in plan.moves] == [FIXED, CANDIDATE]
    assert {method for method, _ in testbed.registry.requests} <= {"GET", "HEAD"}
    assert not testbed.log.path.exists()


def test_the_first_push_sets_both_tags_to_one_whole_image(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))

    assert done
    assert testbed.tags() == {FIXED: done.digest, CANDIDATE: done.digest}
    assert testbed.registry.is_complete(NAME, done.digest)
    manifest = json.loads(testbed.registry.manifests[NAME, done.digest][0])
    assert manifest["config"]["digest"] == image.identity.config


def test_the_order_is_blobs_manifest_read_back_receipt_tags(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))

    assert done
    asked, base = testbed.registry.requests, f"/v2/{NAME}"
    by_digest = asked.index(("PUT", f"{base}/manifests/{done.digest}"))
    receipt = asked.index(("PUT", f"{base}/manifests/sha256-{done.digest[7:]}.receipt"))
    fixed, channel = (asked.index(("PUT", f"{base}/manifests/{tag}")) for tag in (FIXED, CANDIDATE))
    content = json.loads(testbed.registry.manifests[NAME, done.digest][0])
    read_back = [asked.index(("GET", f"{base}/blobs/{b['digest']}")) for b in (content["config"], *content["layers"])]
    assert by_digest < min(read_back) <= max(read_back) < receipt < fixed < channel


def test_twice_is_the_same_as_once(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    request = testbed.request(testbed.receipt(image))
    testbed.promote(image, request)
    before, lines, asked = testbed.registry.state(NAME), testbed.log.read(), len(testbed.registry.requests)

    _, done = testbed.promote(image, request)

    assert done
    assert not done.changed
    assert (testbed.registry.state(NAME), testbed.log.read()) == (before, lines)
    assert {method for method, _ in testbed.registry.requests[asked:]} <= {"GET", "HEAD"}


def test_the_artifact_names_the_image_as_its_subject(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))
    assert done

    at = testbed.registry.tags[NAME, f"sha256-{done.digest[7:]}.receipt"]
    artifact = json.loads(testbed.registry.manifests[NAME, at][0])

    assert artifact["subject"]["digest"] == done.digest
    assert artifact["artifactType"] == "application/vnd.dsse.envelope.v1+json"


def test_a_sidecar_keeps_receipts_and_log_here(testbed: PromotionTestbed) -> None:
    testbed.sidecar = True
    image = testbed.image()

    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))
    gpu = testbed.receipt(image, [receipts.group("gpu")])
    testbed.promote(image, testbed.request(gpu, tags=[STABLE]))

    assert done
    assert set(testbed.registry.state(NAME)) == {FIXED, CANDIDATE, STABLE}
    assert len(list((testbed.log.path.parent / f"sha256-{done.digest[7:]}").glob("receipt-*.json"))) == 2
