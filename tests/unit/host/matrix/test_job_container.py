"""The container of a job follows from its plan and its device."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.builders import MODELS, a_plan

from vldock.host.matrix import job_container
from vldock.host.matrix.executor import DeviceJob
from vldock.host.runs import folder as run_folder
from vldock.host.runs.devices import Device, join_devices
from vldock.host.runs.folder import RunFolder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB = DeviceJob(MODELS[0], Device("cpu0"))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of two models and three benchmarks."""
    return run_folder.create(tmp_path, a_plan(), now=NOW)[0]


def test_the_container_is_told_what_the_plan_says(folder: RunFolder) -> None:
    plan = a_plan(user="12:34", network="none")

    spec = job_container.spec(plan, folder=folder, run_id="r", job=JOB, benchmarks=["POPE", "MMStar"])

    assert spec.argv[:6] == ("python", "-m", "vldock.image", "evaluate", "--json", "--model")
    assert " ".join(spec.argv).endswith(f"--data POPE MMStar --limit 10 --out /workspace/outputs/{folder.name}")
    assert (spec.image, spec.user, spec.network) == (plan.image_id, "12:34", "none")
    assert spec.env == {
        "VLDOCK_STANDIN": "1",
        "VLDOCK_IMAGE_ID": plan.image_id,
        "VLDOCK_PROMPT": "vlmevalkit",
        "VLDOCK_ENGINE": "stock",
        "VLDOCK_BATCH_SIZE": "",
        "VLDOCK_FEATURE_CACHE": "0",
    }
    assert [mount.target for mount in spec.mounts] == ["/workspace/outputs"]


def test_the_container_is_told_the_engine_and_its_batch_size(folder: RunFolder) -> None:
    plan = a_plan(engine="batched", batch_size=8, feature_cache=True)

    spec = job_container.spec(plan, folder=folder, run_id="r", job=JOB, benchmarks=["POPE"])

    assert (spec.env["VLDOCK_ENGINE"], spec.env["VLDOCK_BATCH_SIZE"]) == ("batched", "8")
    assert spec.env["VLDOCK_FEATURE_CACHE"] == "1"


def test_a_shared_store_reaches_the_container_read_only(folder: RunFolder, tmp_path: Path) -> None:
    plan = a_plan(cache=str(tmp_path / "cache"), read_only_inputs=True)

    spec = job_container.spec(plan, folder=folder, run_id="r", job=JOB, benchmarks=["POPE"])

    assert [mount.read_only for mount in spec.mounts] == [False, True]


def test_a_container_that_is_fed_reads_names_and_has_its_devices_share(folder: RunFolder) -> None:
    share = Device("cpu1", threads=3, memory=1000)

    spec = job_container.spec(a_plan(), folder=folder, run_id="r", job=DeviceJob(MODELS[0], share, log="7b@cpu1.log"))

    assert "--data - --limit" in " ".join(spec.argv)
    assert spec.argv[-2:] == ("--log", "7b@cpu1.log")
    assert (spec.stdin, spec.cpus, spec.memory, spec.env["OMP_NUM_THREADS"]) == (True, 3, 1000, "3")


def test_a_cell_on_several_gpus_is_started_by_torchrun(folder: RunFolder) -> None:
    pair = join_devices([Device("gpu0", "GPU-a", 4), Device("gpu1", "GPU-b", 4)])

    spec = job_container.spec(a_plan(gpus="all"), folder=folder, run_id="r", job=DeviceJob(MODELS[0], pair))

    assert spec.argv[:6] == ("torchrun", "--standalone", "--nproc-per-node", "2", "-m", "vldock.image")
    assert (spec.gpus, spec.cpus, spec.env["OMP_NUM_THREADS"]) == ("GPU-a,GPU-b", None, "4")


def test_no_limit_is_told_where_all_samples_are_asked_for(folder: RunFolder) -> None:
    spec = job_container.spec(a_plan(samples=None), folder=folder, run_id="r", job=JOB, benchmarks=["POPE"])

    assert "--limit" not in spec.argv
