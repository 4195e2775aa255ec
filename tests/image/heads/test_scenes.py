"""Drawn scenes: both heads beat the constant and the blind policy on scenes and wordings they have not seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from feature_fixture import Small

from vldock.common.errors import UsageError
from vldock.image.features import towers
from vldock.image.heads import config, prepare, scenes, train
from vldock.image.heads.text import UNKNOWN, Vocabulary, build_vocabulary

SIDE = 16  # patches to a side of the small model below
SETTINGS = ("data.episodes=400", "training.epochs=16", "training.width=48", "training.lr=0.005")


@dataclass
class Patches:
    """Model of the builder's interface: distance of each patch to each colour."""

    identity: str = "patches"
    layer: str = "only"
    computed: str = "float32"

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        paints = torch.tensor([*scenes.COLORS.values(), (236, 234, 226)]) / 255
        patches = torch.nn.functional.adaptive_avg_pool2d(pixels, SIDE).flatten(2).transpose(1, 2)
        return (-8 * torch.cdist(patches, paints)).exp()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, train.TrainingResult]:
    """Both heads, trained from one cache."""
    folder = tmp_path_factory.mktemp("heads")
    places = (f"data.folder={folder / 'scenes'}", f"cache.folder={folder / 'cache'}", f"out={folder}")
    wanted = config.read(None, (*SETTINGS, *places))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(towers, "open_tower", lambda name, **_: (Patches(), Small(48)))
        prepare.prepare(wanted)
        return {objective: train.train(wanted, objective) for objective in ("regression", "flow-matching")}


@pytest.mark.parametrize("objective", ["regression", "flow-matching"])
def test_a_head_beats_all_that_see_less(objective: str, trained: dict[str, train.TrainingResult]) -> None:
    found = trained[objective].measures

    assert found.blind
    assert found.without_instruction
    assert found.error < 0.75 * min(found.constant, found.blind, found.without_instruction)


def test_flow_matching_goes_by_a_side_where_regression_goes_through(trained: dict[str, train.TrainingResult]) -> None:
    crashes = {name: one.measures.scenes.crash_rate for name, one in trained.items() if one.measures.scenes}

    assert crashes["regression"] > 0.6
    assert crashes["flow-matching"] < 0.5 * crashes["regression"]


def rows(folder: Path) -> list[dict[str, str]]:
    place = scenes.write(folder, episodes=60, steps=2, held_out=0.2, seed=0)
    return [json.loads(line) for line in (place / scenes.ROWS).read_text().splitlines()]


def test_no_held_out_wording_was_trained_on_and_each_has_words_that_were(tmp_path: Path) -> None:
    said = {
        side: {row["instruction"] for row in rows(tmp_path) if row["split"] == side} for side in ("train", "held-out")
    }
    known = Vocabulary(build_vocabulary(said["train"]))

    assert said["held-out"]
    assert not said["train"] & said["held-out"]
    assert all(len(set(known.numbers(text)) - {UNKNOWN}) > 10 for text in said["held-out"])


def test_drawn_scenes_are_the_same_again_and_other_settings_get_another_folder(tmp_path: Path) -> None:
    first = scenes.write(tmp_path, episodes=3, steps=1, held_out=0.2, seed=0)
    stamp = (first / scenes.ROWS).stat().st_mtime_ns

    assert scenes.write(tmp_path, episodes=3, steps=1, held_out=0.2, seed=0) == first
    assert (first / scenes.ROWS).stat().st_mtime_ns == stamp
    assert scenes.write(tmp_path, episodes=3, steps=1, held_out=0.2, seed=1) != first


def test_a_users_files_in_data_folder_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("mine")
    (tmp_path / "scenes-3x1-0.2-0").mkdir()
    (tmp_path / "scenes-3x1-0.2-0/rows.jsonl").write_text("mine too")

    with pytest.raises(UsageError, match="not what this command draws"):
        scenes.write(tmp_path, episodes=3, steps=1, held_out=0.2, seed=0)

    assert (tmp_path / "train.json").read_text() == "mine"
    assert (tmp_path / "scenes-3x1-0.2-0/rows.jsonl").read_text() == "mine too"


@pytest.mark.parametrize("text", ["Reach the RED circle!", "빨간 원으로 가세요", "¿qué?", "!?"])
def test_any_text_has_pieces_and_an_unknown_one_is_read(text: str) -> None:
    known = Vocabulary(build_vocabulary({"reach the red circle", "빨간 원"}))

    numbers = known.numbers(text)

    assert numbers
    assert all(0 < number < len(known) for number in numbers)
