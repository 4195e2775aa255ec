"""Rollback: a channel's tag goes back to the previous image, by log and receipts."""

from __future__ import annotations

import pytest
from support.promotion_fixture import CANDIDATE, FIXED, NAME, Shop

from vldock.host.errors import (
    NothingToRollBack,
    ReceiptUnreadable,
    TagMovedElsewhere,
)


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
