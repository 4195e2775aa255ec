"""Findings of the doctor on made-up machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vldock.image.doctor.hardware import Gpu, Machine, judge, runs_on

BUILT_FOR = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")  # torch 2.1.2+cu121
NONE = Machine(device_files=0, driver_cuda=None, usable=False, architectures=(), gpus=(), torch_cuda="12.1")


def with_gpu(name: str, capability: tuple[int, int], memory: float) -> Machine:
    gpu = Gpu(name, capability, memory)
    return Machine(1, 12040, True, BUILT_FOR, (gpu,), "12.1")


@pytest.mark.parametrize(
    ("capability", "fit"),
    [
        ((7, 5), True),
        ((8, 0), True),
        ((8, 9), True),
        ((9, 0), True),
        ((10, 0), False),
        ((12, 0), False),
        ((3, 7), False),
    ],
    ids=["Turing", "A100", "Ada", "Hopper", "B200", "RTX 5090", "Kepler"],
)
def test_which_architectures_fit(capability: tuple[int, int], fit: bool) -> None:
    assert runs_on(capability, BUILT_FOR) is fit


def test_no_gpu_is_a_warning_that_says_how_to_get_one() -> None:
    (check,) = judge(NONE, required=False)

    assert (check.status, check.seen) == ("warn", "no GPU: runs on the CPU, slow")
    assert "--gpus all" in str(check.hint)


def test_no_gpu_is_a_failure_where_one_is_required() -> None:
    assert judge(NONE, required=True)[0].status == "fail"


def test_an_old_driver_is_told_with_the_version_to_install() -> None:
    (check,) = judge(replace(NONE, driver_cuda=11080, device_files=1), required=False)

    assert (check.status, check.seen) == ("fail", "the driver supports CUDA 11.8")
    assert "525.60.13" in str(check.hint)


def test_a_driver_without_a_usable_gpu_is_a_failure() -> None:
    assert judge(replace(NONE, driver_cuda=12040, device_files=1), required=False)[0].status == "fail"


@pytest.mark.parametrize("capability", [(10, 0), (12, 0)])
def test_blackwell_is_refused_with_advice(capability: tuple[int, int]) -> None:
    check, _ = judge(with_gpu("NVIDIA B200", capability, 180), required=False)

    assert check.status == "fail"
    assert "Blackwell needs torch 2.7" in str(check.hint)


def test_gpus_visible_and_device_files_are_counted() -> None:
    check, count = judge(with_gpu("NVIDIA GeForce RTX 4090", (8, 9), 24), required=False)

    assert (check.status, check.seen) == ("ok", "NVIDIA GeForce RTX 4090, sm_89, 24 GiB")
    assert count.seen == "1 visible to torch, 1 device files"
