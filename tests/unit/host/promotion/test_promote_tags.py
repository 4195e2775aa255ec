"""Tags move only where that is allowed, and never the fixed one."""

from __future__ import annotations

import pytest
from support.promotion_fixture import CANDIDATE, FIXED, NAME, PromotionTestbed

from vldock.common.errors import EnvironmentUnfit
from vldock.host.errors import (
    TagMovedElsewhere,
    TagWouldMove,
)


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

    with testbed.log.exclusive(), pytest.raises(EnvironmentUnfit, match="another promotion"):
        testbed.promote(image, testbed.request(testbed.receipt(image)))
