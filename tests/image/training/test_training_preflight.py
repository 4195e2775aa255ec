"""The preflight: it passes a good training, and names what would spoil one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

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
    assert any("Number of image tokens: 1" in line for line in said)
    assert any("pixel_values: (" in line for line in said)
    assert any(line.startswith("warn loss: ") and "a guess among" in line for line in said)
    assert said[-1] == "preflight: 15 of 15 checks passed, 1 with a warning"
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


def padding_checks(box: Box, base: str) -> list[Any]:
    from vldock.image.training.checks import padding

    loaded, data, encoder = encoded(box, base)
    return list(padding.check_padding(loaded, data.training[:4], encoder))


@pytest.mark.parametrize("base", ["next", "plain"])
def test_a_padded_batch_has_each_rows_own_loss_and_positions(box: Box, base: str) -> None:
    positions, losses = padding_checks(box, base)

    assert (positions.status, losses.status) == ("ok", "ok"), (positions, losses)
    assert "within 0.001" in losses.expected


def test_records_of_one_length_are_padded_too(box: Box) -> None:
    from vldock.image.training.checks import padding

    loaded, data, encoder = encoded(box, "next")

    short, long = padding.two_lengths(data.training[:1], encoder, loaded)

    assert len(short.ids) < len(long.ids)
    assert [check.status for check in padding.check_padding(loaded, data.training[:1], encoder)] == ["ok", "ok"]


def test_the_preflight_sees_attention_on_padding(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    from vldock.image.training.data.batch import Collator

    collate = Collator.__call__

    def attends(self: Any, items: Any) -> Any:
        batch = collate(self, items)
        return {**batch, "attention_mask": batch["attention_mask"] | True}

    monkeypatch.setattr(Collator, "__call__", attends)

    positions, _ = padding_checks(box, "next")

    assert (positions.status, positions.seen.split(":")[0]) == ("fail", "row 0")
    assert "attention on" in positions.seen


def test_the_preflight_sees_a_loss_that_padding_reaches(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    from vldock.image.training.data.batch import Collator

    collate = Collator.__call__

    def labels(self: Any, items: Any) -> Any:
        batch = collate(self, items)
        if len(items) > 1:
            batch["labels"][0, :2] = batch["input_ids"][0, :2]
        return batch

    monkeypatch.setattr(Collator, "__call__", labels)

    _, losses = padding_checks(box, "next")

    assert losses.status == "fail", losses


@pytest.mark.parametrize("base", ["OpenGVLab/InternVL2-2B", "/workspace/weights/cogvlm-chat-hf"])
def test_a_base_with_remote_code_is_refused_by_name(base: str) -> None:
    from vldock.image.training import config as settings
    from vldock.image.training.model import base as model_base

    config = dataclasses.replace(settings.Config(), model=settings.Model(base=base, method="lora"))

    with pytest.raises(InputRefused, match=f"model.base={base}: .* is no LLaVA, its classes are remote code"):
        model_base.require_possible(config, "cpu")
