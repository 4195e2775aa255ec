"""Rollback: a channel's tag goes back to the previous image, by log and receipts."""

from __future__ import annotations

import pytest
from support.promotion_fixture import CANDIDATE, FIXED, NAME, PromotionTestbed

from vldock.host.errors import (
    NothingToRollBack,
    ReceiptUnreadable,
    TagMovedElsewhere,
)


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
