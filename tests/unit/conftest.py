"""Options of the unit tests."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def update_golden() -> bool:
    """Tell whether golden files are to be written anew: UPDATE_GOLDEN=1 pytest tests/unit."""
    return os.environ.get("UPDATE_GOLDEN") == "1"
