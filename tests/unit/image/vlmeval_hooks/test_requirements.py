"""A model that needs a GPU is refused without one, its stand-in is not."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.image.vlmeval_hooks import process
from vldock.image.vlmeval_hooks.models.requirements import require_gpu

PLACEMENT = "vldock.image.vlmeval_hooks.process.placement"


def choose(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    placement = SimpleNamespace(choose_device=lambda: device)  # the real one imports torch
    monkeypatch.setitem(sys.modules, PLACEMENT, placement)
    monkeypatch.setattr(process, "placement", placement, raising=False)


def test_cogvlm_is_refused_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cpu")

    with pytest.raises(EnvironmentUnfit, match="cogvlm-chat cannot run without a GPU") as caught:
        require_gpu(["llava_v1.5_7b", "cogvlm-chat"])

    assert caught.value.expected == "an NVIDIA GPU; the device here is cpu"


def test_cogvlm_is_not_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cuda:0")

    require_gpu(["cogvlm-chat"])


def test_a_stand_in_needs_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cpu")
    monkeypatch.setenv("VLDOCK_STANDIN", "1")

    require_gpu(["cogvlm-chat"])


def test_no_device_is_chosen_for_models_that_run_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PLACEMENT, None)  # its import would fail
    monkeypatch.delattr(process, "placement", raising=False)

    require_gpu(["InternVL2-8B", "MiniCPM-V-2_6", "a name of VLMEvalKit's"])
