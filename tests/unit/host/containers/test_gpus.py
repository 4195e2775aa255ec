"""GPUs for named models: a model that needs one is refused without, memory of a CPU is reported."""

from __future__ import annotations

import pytest

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.containers import gpus
from vldock.host.docker_engine.client import EngineStatus

STATUS = EngineStatus("unix:///x", True, memory=32_000_000_000)
WITH_GPU = EngineStatus("unix:///x", True, gpu_runtime=True)


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "this machine has no NVIDIA driver"
    monkeypatch.setattr(gpus, "why_unavailable", lambda status: None if status.gpu_runtime else reason)


def test_a_model_that_needs_a_gpu_is_refused_where_none_is_asked_for() -> None:
    with pytest.raises(UsageError, match="--gpus none: cogvlm-chat cannot run without a GPU"):
        gpus.choose_for(["llava_v1.5_7b", "cogvlm-chat"], "none", STATUS, standin=False)


def test_a_model_that_needs_a_gpu_is_refused_where_the_machine_has_none() -> None:
    with pytest.raises(EnvironmentUnfit, match="this machine has no NVIDIA driver"):
        gpus.choose_for(["cogvlm-chat"], "auto", STATUS, standin=False)


@pytest.mark.parametrize(
    ("asked", "status", "standin", "chosen"),
    [("none", STATUS, True, "none"), ("auto", WITH_GPU, False, "all"), ("0,1", STATUS, False, "0,1")],
    ids=["its stand-in", "a GPU of the engine", "GPUs by name"],
)
def test_a_model_that_needs_a_gpu_is_taken_otherwise(
    asked: str, status: EngineStatus, standin: bool, chosen: str
) -> None:
    assert gpus.choose_for(["cogvlm-chat"], asked, status, standin=standin)[0] == chosen


def test_a_model_too_large_for_this_machines_memory_is_a_warning() -> None:
    _, lines = gpus.choose_for(["llava_v1.5_7b", "InternVL2-8B"], "none", STATUS, standin=False)

    assert lines[1:] == [
        "warning: InternVL2-8B needs about 47 GB of memory on a CPU, in float32; this machine has 32.00 GB"
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["python", "run.py", "--data", "POPE", "--model", "a", "b", "--verbose", "c"], ["a", "b"]),
        (["run.py", "--model=a", "--data", "b"], ["a"]),
        (["evaluate", "--model", "a", "-m", "b"], ["a", "b"]),
        (["bash"], []),
    ],
    ids=["several", "with =", "repeated", "none"],
)
def test_the_models_of_a_command_are_the_values_of_its_option(words: list[str], names: list[str]) -> None:
    assert list(gpus.named_models(words)) == names
