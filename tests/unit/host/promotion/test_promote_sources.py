"""Sources of a promotion: an engine's image, a saved one, another repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from requests.exceptions import ChunkedEncodingError
from support.fake_registry import HOST
from support.promotion_fixture import CANDIDATE, NAME, Shop

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
