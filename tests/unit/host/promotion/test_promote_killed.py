"""Killed at every request there is: no tag at anything but a whole, verified image, and the next run finishes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.fake_registry import FakeRegistry, Killed
from support.promotion_fixture import FIXED, NAME, Shop

from vldock.host.errors import NothingToRollBack

Act = Callable[[], object]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop in which one image is promoted already."""
    made = Shop(tmp_path)
    image = made.image(1)
    made.promote(image, made.wish(made.receipt(image)))
    return made


def snapshot(registry: FakeRegistry) -> tuple[dict, ...]:  # type: ignore[type-arg]
    """Return a copy of what a registry holds."""
    return dict(registry.blobs), dict(registry.manifests), dict(registry.tags), dict(registry.uploads)


def restore(shop: Shop, state: tuple[dict, ...], log: bytes) -> None:  # type: ignore[type-arg]
    """Put registry and log back."""
    registry = shop.registry
    registry.blobs, registry.manifests, registry.tags, registry.uploads = map(dict, state)
    registry.requests.clear()
    registry.die_at = None
    shop.log.path.parent.mkdir(exist_ok=True)
    shop.log.path.write_bytes(log)


def survive(shop: Shop, act: Act, *, after_effect: bool, lose_log: bool, wholes: set[str]) -> int:
    """Kill `act` at each of its requests in turn, run it again, and compare with the run that nobody killed."""
    before, log = snapshot(shop.registry), shop.log.path.read_bytes()
    act()
    expected, requests = shop.tags(), len(shop.registry.requests)
    lines = [(entry.action, entry.state, {move.tag: move.to for move in entry.moves}) for entry in shop.entries()]
    wholes = wholes | set(expected.values())
    for number in range(requests):
        restore(shop, before, log)
        shop.registry.die_at, shop.registry.die_after_effect = number, after_effect
        with pytest.raises(Killed):
            act()
        assert set(shop.tags().values()) <= wholes, number
        assert all(shop.registry.whole(NAME, digest) for digest in shop.tags().values()), number
        shop.registry.die_at = None
        if lose_log:
            shutil.rmtree(shop.log.path.parent)
        act()
        assert shop.tags() == expected, number
        seen = [(entry.action, entry.state, {move.tag: move.to for move in entry.moves}) for entry in shop.entries()]
        assert seen == lines, number
    return requests


@pytest.mark.parametrize(
    ("after_effect", "lose_log"),
    [(False, False), (True, False), (True, True)],
    ids=["before it arrives", "before its answer", "and the log here is lost"],
)
def test_a_promotion_killed_at_any_request_is_finished_by_the_next(
    shop: Shop, after_effect: bool, lose_log: bool
) -> None:
    image = shop.image(2)
    wish = shop.wish(shop.receipt(image), move=True)
    shop.registry.requests.clear()

    count = survive(
        shop,
        lambda: shop.promote(image, wish),
        after_effect=after_effect,
        lose_log=lose_log,
        wholes={shop.tags()[FIXED]},
    )

    assert count > 30


@pytest.mark.parametrize("after_effect", [False, True], ids=["before it arrives", "before its answer"])
def test_a_rollback_killed_at_any_request_is_finished_by_the_next(shop: Shop, after_effect: bool) -> None:
    image = shop.image(2)
    shop.promote(image, shop.wish(shop.receipt(image), move=True))
    shop.registry.requests.clear()

    def act() -> None:
        with suppress(NothingToRollBack):  # killed after the very last request: all of it was done
            shop.rollback()

    survive(shop, act, after_effect=after_effect, lose_log=False, wholes=set(shop.tags().values()))
