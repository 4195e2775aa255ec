"""Fixture of the promotion tests: an empty registry in memory, keys and images."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.promotion_fixture import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A registry, keys and images below a folder of the test."""
    return Shop(tmp_path)
