"""A GPU that does not answer is distinguished from a full one, and from none."""

from __future__ import annotations

import pytest
import torch

from vldock.image.evaluation import gpu_health


def answers(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_sizes: int, **_options: object) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch, "zeros", broken)


def test_a_gpu_that_does_not_answer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, RuntimeError("CUDA error: unspecified launch failure"))

    with pytest.raises(gpu_health.DeviceLost, match="unspecified launch failure"):
        gpu_health.require_alive()


def test_full_memory_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory"))

    gpu_health.require_alive()


def test_without_a_gpu_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, RuntimeError("nobody asks"))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)

    gpu_health.require_alive()
