"""GPU code works with `cuda` without an index, against a fake of torch 2.1.2's checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_cuda
import pytest
import tiny_wrapper
import torch
import training_fixture

from vldock.image import cuda_device
from vldock.image.answering.model_facts import facts_of
from vldock.image.answering.types import Question
from vldock.image.engines import memory as engine_memory
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.evaluation import command as evaluate_command
from vldock.image.features import for_evaluation, towers
from vldock.image.session import model_memory
from vldock.image.training.checks import measurements
from vldock.image.training.loop import monitor
from vldock.image.training.model import load as model_load

pytestmark = [
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]
BARE = torch.device("cuda")
REFUSING = {"mem_get_info": (), "set_per_process_memory_fraction": (0.5,)}
TAKING = ("memory_allocated", "max_memory_allocated", "memory_reserved", "get_device_name", "get_device_properties")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A fake driver and the calls it recorded."""
    monkeypatch.setenv("VLDOCK_DTYPE", "float32")
    return fake_cuda.driver(monkeypatch)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("name", REFUSING)
def test_torch_refuses_a_device_without_an_index_here(name: str) -> None:
    with pytest.raises(ValueError, match="with a specified index"):
        getattr(torch.cuda, name)(*REFUSING[name], BARE)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("name", TAKING)
def test_torch_takes_a_device_without_an_index_there(name: str) -> None:
    assert getattr(torch.cuda, name)(BARE) == getattr(torch.cuda, name)(0)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("device", [BARE, torch.device("cuda:1"), "cuda", "cuda:1", 1], ids=str)
def test_every_form_of_a_device_has_an_index(device: Any) -> None:
    assert cuda_device.index_of(device) == (0 if str(device) == "cuda" else 1)
    assert cuda_device.is_gpu(device)


def test_the_cpu_has_none() -> None:
    assert not cuda_device.is_gpu("cpu")
    with pytest.raises(ValueError, match="cpu is no GPU"):
        cuda_device.index_of("cpu")


@pytest.mark.usefixtures("cuda")
def test_what_torch_holds_unused_counts_as_free() -> None:
    assert engine_memory.free_bytes(BARE) == fake_cuda.FREE + fake_cuda.RESERVED - fake_cuda.ALLOCATED
    assert engine_memory.prefix_bytes(BARE) == engine_memory.free_bytes(BARE) // 8
    assert engine_memory.feature_bytes() == engine_memory.free_bytes(BARE) // 16


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_the_batched_engine_answers_on_a_gpu_as_the_stock_loop_on_a_cpu(
    wrapper: Any, asked: list[Question], tmp_path: Path, device: str
) -> None:
    expected = tiny_wrapper.stock(wrapper, asked)
    with fake_cuda.tensors(device):
        on_gpu = tiny_wrapper.make(tmp_path)
        engine = BatchedEngine(on_gpu, batch_size="auto", features=FeatureStore(engine_memory.feature_bytes()))
        found = {answer.index: (answer.text, answer.note["answer"]) for answer in engine.answers(asked)}
        facts = facts_of(on_gpu)

    assert found == expected
    assert facts.device == fake_cuda.NAME


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("asked_for", ["", "cuda", "cuda:0"])
def test_a_session_reads_the_memory_of_its_gpu(monkeypatch: pytest.MonkeyPatch, asked_for: str) -> None:
    monkeypatch.setenv("VLDOCK_DEVICE", asked_for)

    torch.cuda.init()

    assert (model_memory.where(), model_memory.free(), model_memory.used_bytes()) == (
        "the GPU",
        fake_cuda.FREE,
        fake_cuda.ALLOCATED,
    )


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("asked_for", ["", "cuda", "cuda:0"])
def test_an_evaluation_names_its_gpu(monkeypatch: pytest.MonkeyPatch, asked_for: str) -> None:
    monkeypatch.setenv("VLDOCK_DEVICE", asked_for)

    assert evaluate_command._device() == fake_cuda.NAME


def test_a_training_limits_and_reads_the_memory_of_its_gpu(cuda: dict[str, Any], tmp_path: Path) -> None:
    box = training_fixture.make(tmp_path)
    with fake_cuda.tensors():
        loaded = model_load.load(box.config(tmp_path / "run", "train.precision=fp32"), device="cuda")

    assert cuda["fraction"] == (0.9, 0)
    assert (monitor.memory(loaded.device), measurements._held(loaded.device)) == (fake_cuda.PEAK, fake_cuda.ALLOCATED)


@pytest.mark.usefixtures("cuda")
def test_features_for_an_evaluation_name_the_gpu_that_computed_them(tmp_path: Path) -> None:
    training_fixture.make(tmp_path)
    tower, processor = towers.open_tower(str(tmp_path / "plain"), for_evaluation=True)
    with fake_cuda.tensors():
        features = tower.encode(torch.zeros(2, 3, 56, 56))

    assert tower.device == "cuda"
    assert features.shape[:2] == (2, 16)
    assert fake_cuda.NAME in for_evaluation.describe_computation(tower.dtype, BARE)
    assert towers.space_of(tower, processor).computed == for_evaluation.describe_computation(tower.dtype, BARE)
