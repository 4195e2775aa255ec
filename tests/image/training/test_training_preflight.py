"""The preflight: it passes a good training, and names what would spoil one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import training_fixture
from training_fixture import Box, encoded

from vldock.common.errors import InputRefused


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


def test_the_preflight_passes_a_good_training_and_tells_what_it_saw(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    made = box.config(tmp_path / "run")
    said: list[str] = []

    status = training_preflight.report(made, box.data(made), log=said.append)

    assert status == 0, "\n".join(said)
    assert any("4x4 = 16 patches + CLS" in line for line in said)
    assert said[-1].startswith("preflight: 13 of 13")
    assert not (tmp_path / "run").exists()


def test_the_preflight_names_a_held_out_picture_that_is_trained_on(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    data = box.data(box.config(tmp_path / "run"))

    found = training_preflight.check_leak(dataclasses.replace(data, heldout=data.training[:1]))

    assert (found.status, found.seen.split(",")[0]) == ("fail", "1 in both")


def test_the_preflight_sees_a_processor_of_another_tower(box: Box) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    loaded, _, _ = encoded(box, "plain")
    loaded.processor.crop_size = {"height": 336, "width": 336}

    found = training_preflight.check_geometry(loaded)

    assert (found.status, "336x336" in found.seen) == ("fail", True)


@pytest.mark.parametrize("base", ["OpenGVLab/InternVL2-2B", "/workspace/weights/cogvlm-chat-hf"])
def test_a_base_with_remote_code_is_refused_by_name(base: str) -> None:
    from vldock.image.training import config as settings
    from vldock.image.training.model import base as model_base

    config = dataclasses.replace(settings.Config(), model=settings.Model(base=base, method="lora"))

    with pytest.raises(InputRefused, match=f"model.base={base}: .* is no LLaVA, its classes are remote code"):
        model_base.require_possible(config, "cpu")
