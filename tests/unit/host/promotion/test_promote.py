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
from support.fake_registry import HOST
from support.promotion_fixture import CANDIDATE, FIXED, NAME, RELEASE, STABLE, Shop

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
from vldock.host.promotion.artifacts import RegistryShelf
from vldock.host.receipts import envelope as receipt_sign
from vldock.host.receipts.statement import Band, GroupResult
from vldock.host.registry.client import Manifest, sha256


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop of one's own."""
    return Shop(tmp_path)


def test_a_plan_changes_nothing(shop: Shop) -> None:
    image = shop.image()

    plan, done = shop.promote(image, shop.wish(shop.receipt(image)), confirm=False)

    assert done is None
    assert [tag.name for tag in plan.moves] == [FIXED, CANDIDATE]
    assert {method for method, _ in shop.registry.requests} <= {"GET", "HEAD"}
    assert not shop.log.path.exists()


def test_the_first_push_sets_both_tags_to_one_whole_image(shop: Shop) -> None:
    image = shop.image()

    _, done = shop.promote(image, shop.wish(shop.receipt(image)))

    assert done
    assert shop.tags() == {FIXED: done.digest, CANDIDATE: done.digest}
    assert shop.registry.whole(NAME, done.digest)
    manifest = json.loads(shop.registry.manifests[NAME, done.digest][0])
    assert manifest["config"]["digest"] == image.identity.config


def test_the_order_is_blobs_manifest_read_back_receipt_tags(shop: Shop) -> None:
    image = shop.image()

    _, done = shop.promote(image, shop.wish(shop.receipt(image)))

    assert done
    asked, base = shop.registry.requests, f"/v2/{NAME}"
    by_digest = asked.index(("PUT", f"{base}/manifests/{done.digest}"))
    receipt = asked.index(("PUT", f"{base}/manifests/sha256-{done.digest[7:]}.receipt"))
    fixed, channel = (asked.index(("PUT", f"{base}/manifests/{tag}")) for tag in (FIXED, CANDIDATE))
    content = json.loads(shop.registry.manifests[NAME, done.digest][0])
    read_back = [asked.index(("GET", f"{base}/blobs/{b['digest']}")) for b in (content["config"], *content["layers"])]
    assert by_digest < min(read_back) <= max(read_back) < receipt < fixed < channel


def test_twice_is_the_same_as_once(shop: Shop) -> None:
    image = shop.image()
    wish = shop.wish(shop.receipt(image))
    shop.promote(image, wish)
    before, lines, asked = shop.registry.state(NAME), shop.log.read(), len(shop.registry.requests)

    _, done = shop.promote(image, wish)

    assert done
    assert not done.changed
    assert (shop.registry.state(NAME), shop.log.read()) == (before, lines)
    assert {method for method, _ in shop.registry.requests[asked:]} <= {"GET", "HEAD"}


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
    RegistryShelf(shop.registry.remote(NAME)).add(Manifest(raw, kind), "receipt", [forged.raw])

    with pytest.raises(GpuMissing):
        shop.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", shop.wish(tags=[STABLE]))
    plan, _ = shop.promote(image, shop.wish(tags=["mine"]), confirm=False)
    assert len(plan.notes) == 1


def test_require_gpu_asks_for_it_in_any_channel(shop: Shop) -> None:
    image = shop.image()

    with pytest.raises(GpuMissing, match="no GPU here"):
        shop.promote(image, shop.wish(shop.receipt(image, receipts.groups(gpu="skipped")), require_gpu=True))


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


def test_a_tag_moves_only_with_leave(shop: Shop) -> None:
    old, new = shop.image(1), shop.image(2)
    _, first = shop.promote(old, shop.wish(shop.receipt(old)))
    receipt = shop.receipt(new)

    with pytest.raises(TagWouldMove):
        shop.promote(new, shop.wish(receipt))
    _, second = shop.promote(new, shop.wish(receipt, move=True))

    assert first
    assert second
    assert shop.tags()[CANDIDATE] == second.digest
    assert shop.tags()[FIXED] == first.digest


def test_a_second_image_of_the_same_lock_gets_a_longer_fixed_tag(shop: Shop) -> None:
    old, new = shop.image(1), shop.image(2)
    shop.promote(old, shop.wish(shop.receipt(old)))

    _, done = shop.promote(new, shop.wish(shop.receipt(new), move=True))

    assert done
    longer = f"{FIXED}-{new.identity.config[7:19]}"
    assert shop.tags()[longer] == done.digest


def test_the_fixed_tag_never_moves_even_with_leave(shop: Shop) -> None:
    image, other = shop.image(1), shop.image(2)
    longer = f"{FIXED}-{image.identity.config[7:19]}"
    _, squat = shop.promote(other, shop.wish(shop.receipt(other), tags=[longer]))

    with pytest.raises(TagWouldMove, match=longer):
        shop.promote(image, shop.wish(shop.receipt(image), move=True))
    assert squat
    assert shop.tags() == {FIXED: squat.digest, longer: squat.digest}


def test_a_copy_to_another_repository_keeps_the_digest_and_brings_the_receipts(shop: Shop) -> None:
    image = shop.image()
    _, first = shop.promote(image, shop.wish(shop.receipt(image)))

    _, done = shop.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", shop.wish(name="other/place"))

    assert first
    assert done
    assert done.digest == first.digest
    assert shop.registry.manifests["other/place", done.digest] == shop.registry.manifests[NAME, first.digest]
    receipt_tag = f"sha256-{done.digest[7:]}.receipt"
    assert receipt_tag in shop.registry.state("other/place")


def test_a_layer_that_rotted_in_the_registry_gets_no_tag(shop: Shop) -> None:
    image = shop.image()
    _, first = shop.promote(image, shop.wish(shop.receipt(image)))
    assert first
    layer = json.loads(shop.registry.manifests[NAME, first.digest][0])["layers"][1]["digest"]
    shop.registry.blobs[NAME, layer] = shop.registry.blobs[NAME, layer][:-1] + b"?"

    with pytest.raises(Damaged, match=layer):
        shop.promote(f"registry:{HOST}/{NAME}:{CANDIDATE}", shop.wish(tags=["mine"]))
    assert "mine" not in shop.tags()


def test_a_blob_the_registry_lost_is_sent_again_from_the_engine_side(shop: Shop) -> None:
    image = shop.image()
    wish = shop.wish(shop.receipt(image))
    _, first = shop.promote(image, wish)
    assert first
    layer = json.loads(shop.registry.manifests[NAME, first.digest][0])["layers"][0]["digest"]
    del shop.registry.blobs[NAME, layer]

    shop.promote(image, replace(wish, tags=("mine",)))

    assert shop.registry.whole(NAME, first.digest)
    assert shop.tags()["mine"] == first.digest


def test_a_list_of_images_is_refused_with_the_digests_to_choose_from(shop: Shop) -> None:
    index = b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:abc"}], "config": {"digest": ""}, "layers": []}'
    shop.registry.manifests[NAME, sha256(index)] = (index, "application/vnd.oci.image.index.v1+json")
    shop.registry.tags[NAME, "many"] = sha256(index)

    with pytest.raises(UsageError, match="list of images") as caught:
        shop.promote(f"registry:{HOST}/{NAME}:many", shop.wish(shop.receipt(shop.image())))
    assert "sha256:abc" in str(caught.value.hint)


@pytest.mark.parametrize("tag", ["promotions", "sha256-{}.receipt"])
def test_what_is_attached_to_an_image_is_not_taken_for_one(shop: Shop, tag: str) -> None:
    image = shop.image()
    _, done = shop.promote(image, shop.wish(shop.receipt(image)))
    assert done

    with pytest.raises(UsageError, match="is no image"):
        shop.promote(f"registry:{HOST}/{NAME}:{tag.format(done.digest[7:])}", shop.wish(tags=["mine"]))


def test_the_sbom_must_be_the_one_a_receipt_names(shop: Shop, tmp_path: Path) -> None:
    image, sbom = shop.image(), tmp_path / "sbom.json"
    sbom.write_text("{}")

    with pytest.raises(OtherSbom):
        shop.promote(image, shop.wish(shop.receipt(image), sbom=sbom))
    _, done = shop.promote(image, shop.wish(shop.receipt(image, sbom=sha256(b"{}")), sbom=sbom))

    assert done
    assert f"sha256-{done.digest[7:]}.sbom" in shop.registry.state(NAME)


def test_the_artifact_names_the_image_as_its_subject(shop: Shop) -> None:
    image = shop.image()
    _, done = shop.promote(image, shop.wish(shop.receipt(image)))
    assert done

    at = shop.registry.tags[NAME, f"sha256-{done.digest[7:]}.receipt"]
    artifact = json.loads(shop.registry.manifests[NAME, at][0])

    assert artifact["subject"]["digest"] == done.digest
    assert artifact["artifactType"] == "application/vnd.dsse.envelope.v1+json"


def test_a_sidecar_keeps_receipts_and_log_here(shop: Shop) -> None:
    shop.sidecar = True
    image = shop.image()

    _, done = shop.promote(image, shop.wish(shop.receipt(image)))
    gpu = shop.receipt(image, [receipts.group("gpu")])
    shop.promote(image, shop.wish(gpu, tags=[STABLE]))

    assert done
    assert set(shop.registry.state(NAME)) == {FIXED, CANDIDATE, STABLE}
    assert len(list((shop.log.path.parent / f"sha256-{done.digest[7:]}").glob("receipt-*.json"))) == 2


def test_rollback_walks_back_through_the_log(shop: Shop) -> None:
    digests = []
    for seed in (1, 2, 3):
        image = shop.image(seed)
        _, done = shop.promote(image, shop.wish(shop.receipt(image), move=True))
        digests.append(done.digest if done else "")

    shop.rollback()
    assert shop.tags()[CANDIDATE] == digests[1]
    shop.rollback()
    assert shop.tags()[CANDIDATE] == digests[0]
    with pytest.raises(NothingToRollBack):
        shop.rollback()


def test_rollback_works_from_the_registrys_log_alone(shop: Shop) -> None:
    for seed in (1, 2):
        image = shop.image(seed)
        shop.promote(image, shop.wish(shop.receipt(image), move=True))
    shop.log.path.unlink()

    done = shop.rollback()

    assert done
    assert shop.tags()[CANDIDATE] == shop.tags()[FIXED]


def test_rollback_after_promoting_again_goes_to_the_right_one(shop: Shop) -> None:
    a, b = shop.image(1), shop.image(2)
    for image in (a, b):
        shop.promote(image, shop.wish(shop.receipt(image), move=True))
    shop.rollback()
    shop.promote(b, shop.wish(shop.receipt(b), move=True))

    shop.rollback()

    assert shop.tags()[CANDIDATE] == shop.tags()[FIXED]


def test_rollback_to_an_image_without_a_receipt_is_refused(shop: Shop) -> None:
    for seed in (1, 2):
        image = shop.image(seed)
        shop.promote(image, shop.wish(shop.receipt(image), move=True))
    del shop.registry.tags[NAME, f"sha256-{shop.tags()[FIXED][7:]}.receipt"]

    with pytest.raises(ReceiptUnreadable):
        shop.rollback()


def test_a_tag_moved_behind_our_back_is_not_rolled_back(shop: Shop) -> None:
    for seed in (1, 2):
        image = shop.image(seed)
        shop.promote(image, shop.wish(shop.receipt(image), move=True))
    other = shop.image(3)
    shop.promote(other, shop.wish(shop.receipt(other), tags=["mine"]))
    shop.registry.tags[NAME, CANDIDATE] = shop.tags()["mine"]

    with pytest.raises(TagMovedElsewhere):
        shop.rollback()


def test_a_tag_that_moves_while_we_work_is_left_where_it_is(shop: Shop) -> None:
    old, new = shop.image(1), shop.image(2)
    shop.promote(old, shop.wish(shop.receipt(old)))
    stranger = shop.tags()[FIXED]

    def interfere(number: int, request: object) -> None:
        if getattr(request, "method", "") == "PUT" and "/manifests/promotions" in str(getattr(request, "url", "")):
            shop.registry.tags[NAME, "other"] = stranger

    shop.registry.trouble = interfere
    with pytest.raises(TagMovedElsewhere, match="other"):
        shop.promote(new, shop.wish(shop.receipt(new), tags=["other"], move=True))
    assert shop.tags()["other"] == stranger


def test_two_promotions_at_once_are_refused(shop: Shop) -> None:
    image = shop.image()

    with shop.log.alone(), pytest.raises(EnvironmentUnfit, match="another promotion"):
        shop.promote(image, shop.wish(shop.receipt(image)))


def engine(client_says: list[list[str]], tar: Callable[[], Iterator[bytes]]) -> SimpleNamespace:
    """Return an engine that has one image, and saves it."""
    api = SimpleNamespace(timeout=60, get_image=lambda image: tar())
    return SimpleNamespace(api=api, info=lambda: {"DriverStatus": client_says})


def test_an_engine_that_goes_away_in_the_middle_is_told_as_such(shop: Shop) -> None:
    def broken() -> Iterator[bytes]:
        yield shop.image().path.read_bytes()[:2000]
        raise ChunkedEncodingError("connection broken")

    stream = local_images.saved(engine([], broken), SimpleNamespace(id="sha256:0"))

    with pytest.raises(EnvironmentUnfit, match="connection broken"):
        archive.read(stream, name="x")


def test_where_an_id_is_no_configs_digest_the_saved_image_tells_it(shop: Shop) -> None:
    made = shop.image(layout="oci")
    store = engine([["driver-type", "io.containerd.snapshotter.v1"]], lambda: iter([made.path.read_bytes()]))

    assert local_images.identity(store, SimpleNamespace(id="sha256:0")) == made.identity
