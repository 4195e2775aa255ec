"""VLMEvalKit's wrappers of models with remote code: device and dtype, with a stub of the remote code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_cuda
import pytest
import stub_remote_code
import torch
from PIL import Image

from vldock.common.errors import UsageError
from vldock.image.vlmeval_hooks.process import placement

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:vlmeval")
ANSWER = "A cat"
WRAPPERS = {"InternVLChat": {"version": "V2.0"}, "MiniCPM_V_2_6": {}, "CogVlm": {}}
every_wrapper = pytest.mark.parametrize("kind", WRAPPERS)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return stub_remote_code.write(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import transformers.dynamic_module_utils as remote

    monkeypatch.setattr(remote, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    for name in ("VLDOCK_DEVICE", "VLDOCK_DEVICE_MAP", "VLDOCK_DTYPE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def question(tmp_path: Path) -> list[dict[str, str]]:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    return [{"type": "image", "value": str(tmp_path / "red.png")}, {"type": "text", "value": "What is it?"}]


def make(kind: str, checkpoint: str) -> Any:
    import vlmeval.vlm

    return getattr(vlmeval.vlm, kind)(checkpoint, **WRAPPERS[kind])


def tensors(value: Any) -> list[torch.Tensor]:
    """Return the tensors in nested lists and dicts."""
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in tensors(item)]


def floats(wrapper: Any) -> set[tuple[str, torch.dtype]]:
    """Return device and dtype of weights, buffers and inputs."""
    model = wrapper.model
    found = [*model.parameters(), *model.buffers(), *tensors(model.asked)]
    return {(str(one.device), one.dtype) for one in found if one.is_floating_point()}


@every_wrapper
def test_a_wrapper_answers_on_a_cpu_in_float32(kind: str, checkpoint: str, question: Any) -> None:
    wrapper = make(kind, checkpoint)

    assert wrapper.generate(question, dataset="POPE") == ANSWER
    assert floats(wrapper) == {("cpu", torch.float32)}


@every_wrapper
@pytest.mark.usefixtures("cuda")
def test_a_wrapper_answers_on_one_gpu_in_bfloat16(kind: str, checkpoint: str, question: Any) -> None:
    with fake_cuda.tensors():
        wrapper = make(kind, checkpoint)

        assert wrapper.generate(question, dataset="POPE") == ANSWER
        assert floats(wrapper) == {("cuda:0", torch.bfloat16)}
        assert wrapper.model.hf_device_map == {"": "cuda:0"}


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda.driver(monkeypatch, count=2)


@pytest.mark.usefixtures("cuda")
def test_a_model_is_spread_over_gpus_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    one = placement.pretrained_options()["device_map"]
    monkeypatch.setenv("VLDOCK_DEVICE_MAP", "balanced")

    assert (one, placement.pretrained_options()["device_map"]) == ({"": "cuda:0"}, "balanced")


def test_an_unknown_device_map_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_DEVICE_MAP", "everywhere")

    with pytest.raises(UsageError, match="VLDOCK_DEVICE_MAP=everywhere"):
        placement.pretrained_options()


@pytest.mark.usefixtures("cuda")
def test_without_a_gpu_a_device_map_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_DEVICE_MAP", "auto")
    monkeypatch.setenv("VLDOCK_DEVICE", "cpu")

    assert placement.pretrained_options()["device_map"] == {"": "cpu"}
