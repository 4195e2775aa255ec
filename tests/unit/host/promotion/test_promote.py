"""Promotion against a registry in memory: what is planned, what is refused, what is left after each kind of step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from requests.exceptions import ChunkedEncodingError
from support import receipts
from support.promotion_fixture import CANDIDATE, FIXED, NAME, RELEASE, STABLE, PromotionTestbed
from support.registries.fake_registry import HOST

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.errors import (
    BadSignature,
    Damaged,
    GpuMissing,
    GroupFailed,
    GroupMissing,
    NothingToRollBack,
    OtherImage,
    OtherSbom,
    OtherSuite,
    ReceiptUnreadable,
    Refusal,
    TagMovedElsewhere,
    TagWouldMove,
    UnknownKey,
    Unsigned,
)
from vldock.host.images import archive
from vldock.host.images import local as local_images
from vldock.host.promotion.artifacts import RegistryArtifacts
from vldock.host.receipts import envelope as receipt_sign
from vldock.host.receipts.statement import Band, GroupResult
from vldock.host.registry.client import Manifest, sha256


@pytest.fixture
def testbed(tmp_path: Path) -> PromotionTestbed:
    """A testbed of one's own."""
    return PromotionTestbed(tmp_path)


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
    wish = testbed.request(testbed.receipt(image))
    testbed.promote(image, wish)
    before, lines, asked = testbed.registry.state(NAME), testbed.log.read(), len(testbed.registry.requests)

    _, done = testbed.promote(image, wish)

    assert done
    assert not done.changed
    assert (testbed.registry.state(NAME), testbed.log.read()) == (before, lines)
    assert {method for method, _ in testbed.registry.requests[asked:]} <= {"GET", "HEAD"}


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


def test_a_tag_moves_only_with_leave(testbed: PromotionTestbed) -> None:
    old, new = testbed.image(1), testbed.image(2)
    _, first = testbed.promote(old, testbed.request(testbed.receipt(old)))
    receipt = testbed.receipt(new)

    with pytest.raises(TagWouldMove):
        testbed.promote(new, testbed.request(receipt))
    _, second = testbed.promote(new, testbed.request(receipt, move=True))

    assert first
    assert second
    assert testbed.tags()[CANDIDATE] == second.digest
    assert testbed.tags()[FIXED] == first.digest


def test_a_second_image_of_the_same_lock_gets_a_longer_fixed_tag(testbed: PromotionTestbed) -> None:
    old, new = testbed.image(1), testbed.image(2)
    testbed.promote(old, testbed.request(testbed.receipt(old)))

    _, done = testbed.promote(new, testbed.request(testbed.receipt(new), move=True))

    assert done
    longer = f"{FIXED}-{new.identity.config[7:19]}"
    assert testbed.tags()[longer] == done.digest


def test_the_fixed_tag_never_moves_even_with_leave(testbed: PromotionTestbed) -> None:
    image, other = testbed.image(1), testbed.image(2)
    longer = f"{FIXED}-{image.identity.config[7:19]}"
    _, squat = testbed.promote(other, testbed.request(testbed.receipt(other), tags=[longer]))

    with pytest.raises(TagWouldMove, match=longer):
        testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    assert squat
    assert testbed.tags() == {FIXED: squat.digest, longer: squat.digest}


def test_a_copy_to_another_repository_keeps_the_digest_and_brings_the_receipts(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    _, first = testbed.promote(image, testbed.request(testbed.receipt(image)))

    _, done = testbed.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", testbed.request(name="other/place"))

    assert first
    assert done
    assert done.digest == first.digest
    assert testbed.registry.manifests["other/place", done.digest] == testbed.registry.manifests[NAME, first.digest]
    receipt_tag = f"sha256-{done.digest[7:]}.receipt"
    assert receipt_tag in testbed.registry.state("other/place")


def test_a_layer_that_rotted_in_the_registry_gets_no_tag(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    _, first = testbed.promote(image, testbed.request(testbed.receipt(image)))
    assert first
    layer = json.loads(testbed.registry.manifests[NAME, first.digest][0])["layers"][1]["digest"]
    testbed.registry.blobs[NAME, layer] = testbed.registry.blobs[NAME, layer][:-1] + b"?"

    with pytest.raises(Damaged, match=layer):
        testbed.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", testbed.request(tags=["mine"]))
    assert "mine" not in testbed.tags()


def test_a_blob_the_registry_lost_is_sent_again_from_the_engine_side(testbed: PromotionTestbed) -> None:
    image = testbed.image()
    wish = testbed.request(testbed.receipt(image))
    _, first = testbed.promote(image, wish)
    assert first
    layer = json.loads(testbed.registry.manifests[NAME, first.digest][0])["layers"][0]["digest"]
    del testbed.registry.blobs[NAME, layer]

    testbed.promote(image, replace(wish, tags=("mine",)))

    assert testbed.registry.is_complete(NAME, first.digest)
    assert testbed.tags()["mine"] == first.digest


def test_a_list_of_images_is_refused_with_the_digests_to_choose_from(testbed: PromotionTestbed) -> None:
    index = b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:abc"}], "config": {"digest": ""}, "layers": []}'
    testbed.registry.manifests[NAME, sha256(index)] = (index, "application/vnd.oci.image.index.v1+json")
    testbed.registry.tags[NAME, "many"] = sha256(index)

    with pytest.raises(UsageError, match="list of images") as caught:
        testbed.promote(f"registry:{HOST}/{NAME}:many", testbed.request(testbed.receipt(testbed.image())))
    assert "sha256:abc" in str(caught.value.hint)


@pytest.mark.parametrize("tag", ["promotions", "sha256-{}.receipt"])
def test_what_is_attached_to_an_image_is_not_taken_for_one(testbed: PromotionTestbed, tag: str) -> None:
    image = testbed.image()
    _, done = testbed.promote(image, testbed.request(testbed.receipt(image)))
    assert done

    with pytest.raises(UsageError, match="is no image"):
        testbed.promote(f"registry:{HOST}/{NAME}:{tag.format(done.digest[7:])}", testbed.request(tags=["mine"]))


def test_the_sbom_must_be_the_one_a_receipt_names(testbed: PromotionTestbed, tmp_path: Path) -> None:
    image, sbom = testbed.image(), tmp_path / "sbom.json"
    sbom.write_text("{}")

    with pytest.raises(OtherSbom):
        testbed.promote(image, testbed.request(testbed.receipt(image), sbom=sbom))
    _, done = testbed.promote(image, testbed.request(testbed.receipt(image, sbom=sha256(b"{}")), sbom=sbom))

    assert done
    assert f"sha256-{done.digest[7:]}.sbom" in testbed.registry.state(NAME)


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


def test_rollback_walks_back_through_the_log(testbed: PromotionTestbed) -> None:
    digests = []
    for seed in (1, 2, 3):
        image = testbed.image(seed)
        _, done = testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
        digests.append(done.digest if done else "")

    testbed.rollback()
    assert testbed.tags()[CANDIDATE] == digests[1]
    testbed.rollback()
    assert testbed.tags()[CANDIDATE] == digests[0]
    with pytest.raises(NothingToRollBack):
        testbed.rollback()


def test_rollback_works_from_the_registrys_log_alone(testbed: PromotionTestbed) -> None:
    for seed in (1, 2):
        image = testbed.image(seed)
        testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    testbed.log.path.unlink()

    done = testbed.rollback()

    assert done
    assert testbed.tags()[CANDIDATE] == testbed.tags()[FIXED]


def test_rollback_after_promoting_again_goes_to_the_right_one(testbed: PromotionTestbed) -> None:
    a, b = testbed.image(1), testbed.image(2)
    for image in (a, b):
        testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    testbed.rollback()
    testbed.promote(b, testbed.request(testbed.receipt(b), move=True))

    testbed.rollback()

    assert testbed.tags()[CANDIDATE] == testbed.tags()[FIXED]


def test_rollback_to_an_image_without_a_receipt_is_refused(testbed: PromotionTestbed) -> None:
    for seed in (1, 2):
        image = testbed.image(seed)
        testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    del testbed.registry.tags[NAME, f"sha256-{testbed.tags()[FIXED][7:]}.receipt"]

    with pytest.raises(ReceiptUnreadable):
        testbed.rollback()


def test_a_tag_moved_behind_our_back_is_not_rolled_back(testbed: PromotionTestbed) -> None:
    for seed in (1, 2):
        image = testbed.image(seed)
        testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    other = testbed.image(3)
    testbed.promote(other, testbed.request(testbed.receipt(other), tags=["mine"]))
    testbed.registry.tags[NAME, CANDIDATE] = testbed.tags()["mine"]

    with pytest.raises(TagMovedElsewhere):
        testbed.rollback()


def test_a_tag_that_moves_while_we_work_is_left_where_it_is(testbed: PromotionTestbed) -> None:
    old, new = testbed.image(1), testbed.image(2)
    testbed.promote(old, testbed.request(testbed.receipt(old)))
    stranger = testbed.tags()[FIXED]

    def interfere(number: int, request: object) -> None:
        if getattr(request, "method", "") == "PUT" and "/manifests/promotions" in str(getattr(request, "url", "")):
            testbed.registry.tags[NAME, "other"] = stranger

    testbed.registry.trouble = interfere
    with pytest.raises(TagMovedElsewhere, match="other"):
        testbed.promote(new, testbed.request(testbed.receipt(new), tags=["other"], move=True))
    assert testbed.tags()["other"] == stranger


def test_two_promotions_at_once_are_refused(testbed: PromotionTestbed) -> None:
    image = testbed.image()

    with testbed.log.alone(), pytest.raises(EnvironmentUnfit, match="another promotion"):
        testbed.promote(image, testbed.request(testbed.receipt(image)))


def engine(client_says: list[list[str]], tar: Callable[[], Iterator[bytes]]) -> SimpleNamespace:
    """Return an engine that has one image, and saves it."""
    api = SimpleNamespace(timeout=60, get_image=lambda image: tar())
    return SimpleNamespace(api=api, info=lambda: {"DriverStatus": client_says})


def test_an_engine_that_goes_away_in_the_middle_is_told_as_such(testbed: PromotionTestbed) -> None:
    def broken() -> Iterator[bytes]:
        yield testbed.image().path.read_bytes()[:2000]
        raise ChunkedEncodingError("connection broken")

    stream = local_images.save(engine([], broken), SimpleNamespace(id="sha256:0"))

    with pytest.raises(EnvironmentUnfit, match="connection broken"):
        archive.read(stream, name="x")


def test_where_an_id_is_no_configs_digest_the_saved_image_tells_it(testbed: PromotionTestbed) -> None:
    made = testbed.image(layout="oci")
    store = engine([["driver-type", "io.containerd.snapshotter.v1"]], lambda: iter([made.path.read_bytes()]))

    assert local_images.read_identity(store, SimpleNamespace(id="sha256:0")) == made.identity
