"""Models against the memory of a CPU: their weights in float32, those in the cache or the declared ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common import hub_cache_layout
from vldock.common.machine import cpu_memory
from vldock.common.matrix import find_model

GB = 10**9
COGVLM = "THUDM/cogvlm-chat-hf"


def put_blob(hub: Path, size: int) -> None:
    """Write a sparse blob of CogVLM's repository."""
    blobs = hub_cache_layout.folder(hub, COGVLM) / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / ("a" * 64)).open("wb") as blob:
        blob.truncate(size)


@pytest.mark.parametrize("name", ["cogvlm-chat", COGVLM])
def test_a_model_is_refused_where_its_weights_exceed_the_memory(name: str) -> None:
    assert cpu_memory.why_too_small(["InternVL2-2B", name], 64 * GB, None) == (
        "cogvlm-chat cannot run on a CPU here: its weights are 71 GB in float32, there are 64 GB of memory"
    )


def test_a_model_that_fits_is_not_refused() -> None:
    assert cpu_memory.why_too_small(["cogvlm-chat", "a name of VLMEvalKit's"], 71 * GB, None) is None


@pytest.mark.parametrize(
    ("there", "expected"),
    [(0, 70.6), (GB, 2.0), (90 * GB, 70.6)],
    ids=["none there", "a tiny instance", "both formats"],
)
def test_weights_in_the_cache_count_as_far_as_they_are_fewer(tmp_path: Path, there: int, expected: float) -> None:
    put_blob(tmp_path, there)
    model = find_model("cogvlm-chat")
    assert model is not None

    assert cpu_memory.float32_bytes(model, tmp_path) == pytest.approx(expected * GB)


def test_a_prompt_that_may_not_fit_is_a_warning() -> None:
    assert list(cpu_memory.describe_shortages(["InternVL2-2B", "InternVL2-8B"], 40 * GB, None)) == [
        "warning: InternVL2-8B needs up to 47 GB of memory on a CPU, there are 40"
    ]


def test_files_in_a_snapshot_without_blobs_count(tmp_path: Path) -> None:
    snapshot = hub_cache_layout.folder(tmp_path, COGVLM) / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(bytes(1000))
    model = find_model("cogvlm-chat")
    assert model is not None
    assert cpu_memory.float32_bytes(model, tmp_path) == 2000
