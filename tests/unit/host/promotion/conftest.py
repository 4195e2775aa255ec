"""Fixture of the promotion tests: an empty registry in memory, keys and images."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.promotion_fixture import PromotionTestbed


@pytest.fixture
def testbed(tmp_path: Path) -> PromotionTestbed:
    """A registry, keys and images below a folder of the test."""
    return PromotionTestbed(tmp_path)
