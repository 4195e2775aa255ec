"""The doctor on what each model needs, on made-up devices."""

from __future__ import annotations

import pytest

from vldock.common.matrix import MODELS
from vldock.image.doctor import models
from vldock.image.doctor.models import check_models, judge

BY_NAME = {model.name: model for model in MODELS}


@pytest.mark.parametrize(
    ("name", "memory", "status"),
    [
        ("llava_v1.5_7b", 12, "warn"),
        ("llava_v1.5_7b", 24, "ok"),
        ("llava_v1.5_13b", 24, "warn"),
        ("InternVL2-8B", 24, "skip"),
        ("InternVL2-8B", 80, "ok"),
        ("cogvlm-chat", 80, "ok"),
    ],
)
def test_a_gpus_memory_is_held_against_each_model(name: str, memory: float, status: str) -> None:
    assert judge(BY_NAME[name], memory, on_gpu=True).status == status


def test_a_model_is_told_with_its_attention_memory_and_trials() -> None:
    check = judge(BY_NAME["InternVL2-8B"], 24, on_gpu=True)

    assert check.seen == (
        "eager attention; needs about 31 GB, the GPU has 24; "
        "tried with its stand-in and a tiny random instance of its published code on a CPU"
    )


def test_on_a_cpu_weights_are_float32() -> None:
    assert "needs about 30 GB, in float32, 25 are free" in judge(BY_NAME["llava_v1.5_7b"], 25, on_gpu=False).seen


def test_stand_ins_are_held_against_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "hardware", None)  # not asked

    assert [check.status for check in check_models({"VLDOCK_STANDIN": "1"})] == ["ok"]
