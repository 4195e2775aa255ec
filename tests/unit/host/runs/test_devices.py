"""Devices of a machine, and the share of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.common.machine import nvidia_smi
from vldock.host.runs import devices
from vldock.host.runs.devices import Device, Machine, Placement
from vldock.host.util.process import Result

MACHINE = Machine(cores=16, memory=64_000_000_000)
CUT = """\
GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)
  MIG 3g.20gb     Device  0: (UUID: MIG-bbbb-1)
  MIG 3g.20gb     Device  1: (UUID: MIG-bbbb-2)
GPU 1: NVIDIA A100 (UUID: GPU-aaaa-2)
"""


def two() -> list[str]:
    return ["GPU-a", "GPU-b"]


def test_one_cpu_device_has_no_limit_of_its_own() -> None:
    assert devices.find_devices("none", Placement(), MACHINE) == (Device("cpu0"),)


@pytest.mark.parametrize(("cells", "cores", "workers"), [(40, 2, 2), (40, 16, 4), (20, 16, 2), (3, 16, 1), (40, 1, 1)])
def test_standins_get_as_many_workers_as_cores_and_cells_keep_busy(cells: int, cores: int, workers: int) -> None:
    assert devices.workers_for_standins(cells, Machine(cores)) == workers


def test_cpu_workers_share_cores_and_memory_alike() -> None:
    found = devices.find_devices("none", Placement(workers=3), MACHINE)

    assert [(one.name, one.threads, one.memory) for one in found] == [
        (name, 5, 19_200_000_000) for name in ("cpu0", "cpu1", "cpu2")
    ]


def test_each_gpu_of_the_machine_is_a_device() -> None:
    found = devices.find_devices("all", Placement(), MACHINE, listed=two)

    assert found == (Device("gpu0", "GPU-a", 8), Device("gpu1", "GPU-b", 8))


def test_gpus_by_number_keep_their_numbers() -> None:
    assert [one.name for one in devices.find_devices("2,5", Placement(), MACHINE)] == ["gpu2", "gpu5"]


@pytest.mark.parametrize("listed", [[], ["GPU-a"]], ids=["a remote engine's are not listed", "only one"])
def test_one_gpu_is_asked_for_as_ever(listed: list[str]) -> None:
    assert devices.find_devices("all", Placement(), MACHINE, listed=lambda: listed) == (Device("gpu0", "all"),)


def test_without_spreading_all_gpus_are_one_device() -> None:
    assert devices.find_devices("all", Placement(spread=False), MACHINE, listed=two) == (Device("gpus", "all"),)


def test_workers_on_gpus_are_refused_with_the_way_to_choose_gpus() -> None:
    with pytest.raises(UsageError, match="--workers 2 with --gpus all"):
        devices.find_devices("all", Placement(workers=2), MACHINE, listed=two)


def test_groups_of_devices_are_one_device_with_so_many_ranks() -> None:
    found = devices.find_devices("none", Placement(workers=4, data_parallel="2"), MACHINE)

    assert [(one.name, one.ranks, one.threads) for one in found] == [("cpu0+cpu1", 2, 8), ("cpu2+cpu3", 2, 8)]


@pytest.mark.parametrize("where", [Placement(workers=3, data_parallel="2"), Placement(data_parallel="2")])
def test_groups_that_do_not_come_out_even_are_refused(where: Placement) -> None:
    with pytest.raises(UsageError, match="--data-parallel 2"):
        devices.find_devices("none", where, MACHINE)


@pytest.mark.parametrize("word", ["many", "0", "-1", ""])
def test_a_word_that_is_no_number_of_devices_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--data-parallel"):
        Placement(data_parallel=word)


def test_a_gpu_that_is_cut_is_its_slices() -> None:
    assert nvidia_smi.parse_gpu_list(CUT) == ["MIG-bbbb-1", "MIG-bbbb-2", "GPU-aaaa-2"]


def test_without_nvidia_smi_the_driver_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0/information").write_text("Model: NVIDIA H100\nGPU UUID:\t GPU-cc-1\n")

    def absent(argv: Sequence[str]) -> Result:
        return Result(tuple(argv), 127)

    assert devices.list_gpus(run=absent, proc=tmp_path) == ["GPU-cc-1"]


def test_of_a_remote_engine_nothing_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://elsewhere")

    assert devices.list_gpus(run=lambda argv: Result(tuple(argv), 0, CUT)) == []
