"""Tags move only where that is allowed, and never the fixed one."""

from __future__ import annotations

import pytest
from support.promotion_fixture import CANDIDATE, FIXED, NAME, Shop

from vldock.common.errors import EnvironmentUnfit
from vldock.host.errors import (
    TagMovedElsewhere,
    TagWouldMove,
)


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

    with shop.log.exclusive(), pytest.raises(EnvironmentUnfit, match="another promotion"):
        shop.promote(image, shop.wish(shop.receipt(image)))
