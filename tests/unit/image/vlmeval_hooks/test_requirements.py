"""A model in the cache that a CPU's free memory cannot hold is refused; its stand-in is not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit
from vldock.image.process import stats as process_stats
from vldock.image.vlmeval_hooks import process
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.models.requirements import require_memory

PLACEMENT = "vldock.image.vlmeval_hooks.process.placement"
COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with CogVLM's weights, sparse, on a machine of 64 GB."""
    place = hub_cache_layout.folder(tmp_path, "THUDM/cogvlm-chat-hf")
    for folder in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (place / folder).mkdir(parents=True)
    (place / "refs/main").write_text(COMMIT)
    with (place / "blobs" / ("a" * 64)).open("wb") as blob:
        blob.truncate(35_300_000_000)
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(tmp_path))
    monkeypatch.delenv("VLDOCK_STANDIN", raising=False)
    monkeypatch.setattr(process_stats, "free_memory", lambda: 64_000_000_000)
    return tmp_path


def choose(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    placement = SimpleNamespace(choose_device=lambda: device)  # the real one imports torch
    monkeypatch.setitem(sys.modules, PLACEMENT, placement)
    monkeypatch.setattr(process, "placement", placement, raising=False)


def test_cogvlm_is_refused_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cpu")

    with pytest.raises(EnvironmentUnfit, match="its weights are 71 GB in float32, there are 64 GB") as caught:
        require_memory(["llava_v1.5_7b", "cogvlm-chat"])

    assert caught.value.expected == "an NVIDIA GPU, or more memory; the device here is cpu"


def test_cogvlm_is_not_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cuda:0")

    require_memory(["cogvlm-chat"])


def test_a_stand_in_runs_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "cpu")
    monkeypatch.setenv("VLDOCK_STANDIN", "1")

    require_memory(["cogvlm-chat"])


def test_models_that_fit_or_are_not_there_are_no_reason_to_look_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PLACEMENT, None)  # its import would fail
    monkeypatch.delattr(process, "placement", raising=False)
    monkeypatch.setattr(process_stats, "free_memory", lambda: 72_000_000_000)

    require_memory(["cogvlm-chat", "llava_v1.5_13b", "a name of VLMEvalKit's"])


def test_a_cache_that_cannot_be_read_is_left_to_the_check_of_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_repo: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(requirements, "snapshot", refuse)

    require_memory(["llava_v1.5_7b"])
