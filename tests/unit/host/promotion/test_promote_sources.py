"""Sources of a promotion: an engine's image, a saved one, another repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from requests.exceptions import ChunkedEncodingError
from support.promotion_fixture import CANDIDATE, NAME, PromotionTestbed
from support.registries.fake_registry import HOST

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.errors import (
    Damaged,
)
from vldock.host.images import archive
from vldock.host.images import local as local_images
from vldock.host.registry.client import sha256


def engine(client_says: list[list[str]], tar: Callable[[], Iterator[bytes]]) -> SimpleNamespace:
    """Return an engine with one image, which it can save."""
    api = SimpleNamespace(timeout=60, get_image=lambda image: tar())
    return SimpleNamespace(api=api, info=lambda: {"DriverStatus": client_says})


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
    request = testbed.request(testbed.receipt(image))
    _, first = testbed.promote(image, request)
    assert first
    layer = json.loads(testbed.registry.manifests[NAME, first.digest][0])["layers"][0]["digest"]
    del testbed.registry.blobs[NAME, layer]

    testbed.promote(image, replace(request, tags=("mine",)))

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
