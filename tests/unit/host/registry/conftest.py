"""An empty registry for the tests of the client."""

from __future__ import annotations

import pytest
from support.registries.fake_registry import FakeRegistry


@pytest.fixture
def fake() -> FakeRegistry:
    """An empty registry."""
    return FakeRegistry()
