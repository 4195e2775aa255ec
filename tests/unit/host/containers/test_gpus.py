"""GPUs for named models: on a CPU without the memory for the weights, nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers import gpus
from vldock.host.docker_engine.client import EngineStatus

STATUS = EngineStatus("unix:///x", True, memory=40_000_000_000)
WITH_GPU = EngineStatus("unix:///x", True, gpu_runtime=True, memory=40_000_000_000)


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "this machine has no NVIDIA driver"
    monkeypatch.setattr(gpus, "why_unavailable", lambda status: None if status.gpu_runtime else reason)


@pytest.mark.parametrize("asked", ["none", "auto"])
def test_a_model_the_memory_cannot_hold_is_refused_on_a_cpu(asked: str) -> None:
    with pytest.raises(EnvironmentUnfit, match="cogvlm-chat cannot run on a CPU here: its weights are 71 GB") as caught:
        gpus.choose_for(["llava_v1.5_7b", "cogvlm-chat"], asked, STATUS, standin=False, cache=None)

    assert "device: CPU" in (caught.value.expected or "")


@pytest.mark.parametrize(
    ("asked", "status", "standin", "chosen"),
    [("none", STATUS, True, "none"), ("auto", WITH_GPU, False, "all"), ("0,1", STATUS, False, "0,1")],
    ids=["its stand-in", "a GPU of the engine", "GPUs by name"],
)
def test_such_a_model_is_taken_otherwise(asked: str, status: EngineStatus, standin: bool, chosen: str) -> None:
    assert gpus.choose_for(["cogvlm-chat"], asked, status, standin=standin, cache=None)[0] == chosen


def test_a_tiny_instance_in_the_cache_is_taken(tmp_path: Path) -> None:
    blobs = hub_cache_layout.folder(tmp_path / hub_cache_layout.HUB_FOLDER, "THUDM/cogvlm-chat-hf") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / ("a" * 64)).write_bytes(b"tiny")

    chosen, lines = gpus.choose_for(["cogvlm-chat"], "none", STATUS, standin=False, cache=tmp_path)

    assert (chosen, len(lines)) == ("none", 1)


def test_a_prompt_that_may_not_fit_is_a_warning() -> None:
    _, lines = gpus.choose_for(["llava_v1.5_7b", "InternVL2-8B"], "none", STATUS, standin=False, cache=None)

    assert lines[1:] == ["warning: InternVL2-8B needs up to 47 GB of memory on a CPU, there are 40"]


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
