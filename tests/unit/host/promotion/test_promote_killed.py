"""Promotion killed at every request: no tag at an unverified image, and the next run finishes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.promotion_fixture import FIXED, NAME, PromotionTestbed
from support.registries.fake_registry import FakeRegistry, Killed

from vldock.host.errors import NothingToRollBack

Act = Callable[[], object]


@pytest.fixture
def testbed(tmp_path: Path) -> PromotionTestbed:
    """A testbed in which one image is promoted already."""
    made = PromotionTestbed(tmp_path)
    image = made.image(1)
    made.promote(image, made.request(made.receipt(image)))
    return made


def snapshot(registry: FakeRegistry) -> tuple[dict, ...]:  # type: ignore[type-arg]
    """Return a copy of what a registry holds."""
    return dict(registry.blobs), dict(registry.manifests), dict(registry.tags), dict(registry.uploads)


def restore(testbed: PromotionTestbed, state: tuple[dict, ...], log: bytes) -> None:  # type: ignore[type-arg]
    """Put registry and log back."""
    registry = testbed.registry
    registry.blobs, registry.manifests, registry.tags, registry.uploads = map(dict, state)
    registry.requests.clear()
    registry.die_at = None
    testbed.log.path.parent.mkdir(exist_ok=True)
    testbed.log.path.write_bytes(log)


def survive(testbed: PromotionTestbed, act: Act, *, after_effect: bool, lose_log: bool, wholes: set[str]) -> int:
    """Kill `act` at each of its requests, run it again, and compare with an undisturbed run."""
    before, log = snapshot(testbed.registry), testbed.log.path.read_bytes()
    act()
    expected, requests = testbed.tags(), len(testbed.registry.requests)
    lines = [(entry.action, entry.state, {move.tag: move.to for move in entry.moves}) for entry in testbed.entries()]
    wholes = wholes | set(expected.values())
    for number in range(requests):
        restore(testbed, before, log)
        testbed.registry.die_at, testbed.registry.die_after_effect = number, after_effect
        with pytest.raises(Killed):
            act()
        assert set(testbed.tags().values()) <= wholes, number
        assert all(testbed.registry.is_complete(NAME, digest) for digest in testbed.tags().values()), number
        testbed.registry.die_at = None
        if lose_log:
            shutil.rmtree(testbed.log.path.parent)
        act()
        assert testbed.tags() == expected, number
        seen = [(entry.action, entry.state, {move.tag: move.to for move in entry.moves}) for entry in testbed.entries()]
        assert seen == lines, number
    return requests


@pytest.mark.parametrize(
    ("after_effect", "lose_log"),
    [(False, False), (True, False), (True, True)],
    ids=["before it arrives", "before its answer", "and the log here is lost"],
)
def test_a_promotion_killed_at_any_request_is_finished_by_the_next(
    testbed: PromotionTestbed, after_effect: bool, lose_log: bool
) -> None:
    image = testbed.image(2)
    request = testbed.request(testbed.receipt(image), move=True)
    testbed.registry.requests.clear()

    count = survive(
        testbed,
        lambda: testbed.promote(image, request),
        after_effect=after_effect,
        lose_log=lose_log,
        wholes={testbed.tags()[FIXED]},
    )

    assert count > 30


@pytest.mark.parametrize("after_effect", [False, True], ids=["before it arrives", "before its answer"])
def test_a_rollback_killed_at_any_request_is_finished_by_the_next(
    testbed: PromotionTestbed, after_effect: bool
) -> None:
    image = testbed.image(2)
    testbed.promote(image, testbed.request(testbed.receipt(image), move=True))
    testbed.registry.requests.clear()

    def act() -> None:
        with suppress(NothingToRollBack):  # killed after the very last request: all of it was done
            testbed.rollback()

    survive(testbed, act, after_effect=after_effect, lose_log=False, wholes=set(testbed.tags().values()))
