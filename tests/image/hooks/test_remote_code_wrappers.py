"""VLMEvalKit's wrappers of models with remote code: device, dtype and attention, with a stub of that code."""

from __future__ import annotations

from typing import Any

import fake_cuda
import pytest
import torch
from stub_remote_code import ANSWER, WRAPPERS

from vldock.common.errors import UsageError
from vldock.image.answering.model_facts import facts_of
from vldock.image.vlmeval_hooks.process import placement

pytest_plugins = ["remote_code_fixture"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:vlmeval")
every_wrapper = pytest.mark.parametrize("kind", WRAPPERS)


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
def test_a_wrapper_answers_on_a_cpu_in_float32(kind: str, load: Any, question: Any) -> None:
    wrapper = load(kind)

    assert wrapper.generate(question, dataset="POPE") == ANSWER
    assert floats(wrapper) == {("cpu", torch.float32)}


@every_wrapper
@pytest.mark.usefixtures("cuda")
def test_a_wrapper_answers_on_one_gpu_in_bfloat16(kind: str, load: Any, question: Any) -> None:
    with fake_cuda.tensors():
        wrapper = load(kind)

        assert wrapper.generate(question, dataset="POPE") == ANSWER
        assert floats(wrapper) == {("cuda:0", torch.bfloat16)}
        assert wrapper.model.hf_device_map == {"": "cuda:0"}


@every_wrapper
@pytest.mark.usefixtures("cuda")
def test_a_model_never_lies_in_host_memory(kind: str, load: Any) -> None:
    with fake_cuda.tensors():
        assert load(kind).model.loaded_as == ("meta", torch.bfloat16)


@every_wrapper
@pytest.mark.usefixtures("cuda")
def test_an_identity_names_device_and_dtype_as_loaded(kind: str, load: Any) -> None:
    with fake_cuda.tensors():
        facts = facts_of(load(kind))

    assert placement.describe(kind) == f"cuda/{facts.dtype}" == "cuda/bfloat16"


def test_a_wrapper_that_chooses_its_own_dtype_is_not_named_float32() -> None:
    assert placement.describe("Qwen2VLChat") == "cpu/unknown"


@pytest.mark.parametrize(("supported", "attention"), [(False, "remote code"), (True, "eager")])
def test_the_attention_of_remote_code_is_transformers_only_where_it_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, load: Any, supported: bool, attention: str
) -> None:
    wrapper = load("CogVlm")
    monkeypatch.setattr(type(wrapper.model), "_supports_flash_attn_2", supported)

    assert facts_of(wrapper).attention == attention


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
