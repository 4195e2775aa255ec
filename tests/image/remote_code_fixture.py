"""Fixtures of VLMEvalKit's wrappers of models with remote code, on a stub of that code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cuda
import pytest
import stub_remote_code
from PIL import Image


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint with the stub as its remote code."""
    return stub_remote_code.write(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def load(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A function that loads the checkpoint in a wrapper, by the wrapper's class."""
    import vlmeval.vlm

    monkeypatch.setenv("VLDOCK_ACCEPT_REMOTE_CODE", Path(checkpoint).name)
    for name in ("VLDOCK_DEVICE", "VLDOCK_DEVICE_MAP", "VLDOCK_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    return lambda kind: getattr(vlmeval.vlm, kind)(checkpoint, **stub_remote_code.WRAPPERS[kind])


@pytest.fixture
def question(tmp_path: Path) -> list[dict[str, str]]:
    """A question about a red picture of 60 x 40 pixels."""
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    return [{"type": "image", "value": str(tmp_path / "red.png")}, {"type": "text", "value": "What is it?"}]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two fake GPUs."""
    fake_cuda.driver(monkeypatch, count=2)
