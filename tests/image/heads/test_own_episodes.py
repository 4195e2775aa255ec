"""A user's episodes: cached, trained on by both objectives, acted from; nothing of them changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import episode_fixture as made
import pytest
import torch
from feature_fixture import Mean, Small

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features import prompt_features, towers
from vldock.image.features.pt_files import write_pt
from vldock.image.heads import act, config, prepare, train
from vldock.image.heads.measure import Measures, warn
from vldock.image.heads.policy import OBJECTIVES, Policy


@dataclass
class Asked(Mean):
    """Model of pixels and a prompt: three tokens of mean colour and the prompt's length."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a prompt is needed")

    def encode_prompted(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        self.seen += 1
        return torch.cat([pixels.mean(dim=(1, 2)), torch.tensor([len(prompt) / 20])]).repeat(3, 1)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> tuple[Mean, Asked]:
    """Models of tower and prompt features, and the pictures they have seen."""
    tower, reader = Mean(), Asked(identity="asked")
    monkeypatch.setattr(towers, "open_tower", lambda name, **_: (tower, Small()))
    monkeypatch.setattr(prompt_features, "open_reader", lambda name, **_: (reader, Small()))
    return tower, reader


def settings(folder: Path, *more: str) -> config.Config:
    """Return a small training on the episodes in `folder`/mine."""
    words = [f"data.path={folder / 'mine'}", f"cache.folder={folder / 'cache'}", f"out={folder / 'out'}"]
    return config.read(None, [*words, "training.epochs=30", "training.width=24", "training.batch_size=8", *more])


@pytest.mark.parametrize("features", ["tower", "prompt"])
@pytest.mark.parametrize("write", [made.write_jsonl, made.write_parquet, made.write_lerobot])
def test_24_rows_are_cached_and_trained_on_and_nothing_of_them_changes(
    write: Callable[[Path], Path], features: str, tmp_path: Path, models: tuple[Mean, Asked]
) -> None:
    before = made.digest(write(tmp_path / "mine"))
    wanted = settings(tmp_path, f"cache.features={features}")

    prepare.prepare(wanted)
    seen = [model.seen for model in models]
    found = {objective: train.train(wanted, objective) for objective in OBJECTIVES}

    assert made.digest(tmp_path / "mine") == before
    assert [model.seen for model in models] == seen == ([48, 0] if features == "tower" else [0, 48])
    for objective, one in found.items():
        assert one.misses == 0
        assert len(one.measures.by_number) == 5
        assert json.loads((tmp_path / f"out/{objective}/measures.json").read_text())["measures"]["blind"] is not None


def write_pt_files(folder: Path) -> None:
    """Write the .pt files another program made for the 24 rows: {prompt hash}/mine_vlm{row * 2 + camera}.pt."""
    for place, row in enumerate(made.rows()):
        for camera in range(2):
            features = torch.tensor([[[*made.color(*divmod(place, made.STEPS), camera)]]]) / 255
            write_pt(folder, features, prompt=row["instruction"], dataset="mine", index=place * 2 + camera)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_pt_files_of_another_program_are_trained_on_without_a_model(
    objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write_jsonl(tmp_path / "mine")
    write_pt_files(tmp_path / "pt")
    before = made.digest(tmp_path / "pt")
    monkeypatch.setattr(towers, "open_tower", lambda *_, **__: pytest.fail("no model is needed"))
    wanted = settings(tmp_path, f"cache.pt_folder={tmp_path / 'pt'}")

    _, built = prepare.prepare(wanted)
    found = train.train(wanted, objective)

    assert built is None
    assert found.misses == 0
    assert found.measures.error < found.measures.constant
    assert made.digest(tmp_path / "pt") == before


def test_a_missing_pt_file_is_named(tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")
    write_pt_files(tmp_path / "pt")
    next((tmp_path / "pt").glob("*/mine_vlm13.pt")).unlink()

    with pytest.raises(InputRefused, match=r"1 of 48 pictures are not in (.|\n)*mine vlm13 \(1-2-wrist\.png"):
        prepare.prepare(settings(tmp_path, f"cache.pt_folder={tmp_path / 'pt'}"))


@pytest.mark.parametrize("features", ["tower", "prompt"])
def test_a_policy_acts_from_pictures_as_it_did_in_training(features: str, tmp_path: Path) -> None:
    folder = made.write_jsonl(tmp_path / "mine")
    wanted = settings(tmp_path, f"cache.features={features}", "training.compare=false")
    prepare.prepare(wanted)
    train.train(wanted, "regression")

    actor = act.open_actor(tmp_path / "out/regression/policy.safetensors")
    row = made.rows()[9]
    action = actor.act([folder / name for name in row["images"].values()], row["instruction"], state=row["state"])

    assert action == pytest.approx(row["action"], abs=0.35)
    assert actor.policy.facts["sets"] == ["mine"]


def test_a_saved_policy_answers_any_text_and_the_same_each_time(tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")
    wanted = settings(tmp_path, "training.epochs=2")
    prepare.prepare(wanted)
    train.train(wanted, "flow-matching")
    policy = Policy.load(tmp_path / "out/flow-matching/policy.safetensors")

    with torch.inference_mode():
        answers = [policy.act(policy.batch(torch.rand(2, 1, 3) * 0 + 1, "¿qué?", [0, 0])) for _ in range(2)]

    assert torch.equal(*answers)
    assert config.read(tmp_path / "out/flow-matching/config.yaml") == wanted


def test_a_policy_refuses_another_number_of_pictures_and_states(tmp_path: Path) -> None:
    folder = made.write_jsonl(tmp_path / "mine")
    wanted = settings(tmp_path, "training.epochs=1", "training.compare=false")
    prepare.prepare(wanted)
    train.train(wanted, "regression")
    actor = act.open_actor(tmp_path / "out/regression/policy.safetensors")

    with pytest.raises(InputRefused, match="1 pictures"):
        actor.act([folder / "images/0-0-top.png"], "go")
    with pytest.raises(InputRefused, match="0 state numbers"):
        actor.act([folder / "images/0-0-top.png"] * 2, "go")


def test_a_policy_refuses_a_model_with_other_features(tmp_path: Path, models: tuple[Mean, Asked]) -> None:
    made.write_jsonl(tmp_path / "mine")
    wanted = settings(tmp_path, "training.epochs=1", "training.compare=false")
    prepare.prepare(wanted)
    train.train(wanted, "regression")
    models[0].identity = "another"

    with pytest.raises(InputRefused, match="tower differ"):
        act.open_actor(tmp_path / "out/regression/policy.safetensors")


def test_pictures_that_are_not_cached_are_all_named_and_not_computed_in_silence(tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")

    with pytest.raises(InputRefused) as caught:
        train.train(settings(tmp_path), "regression")

    assert caught.value.message.startswith("48 of 48 pictures are not in")
    assert "\n  and 28 more" in caught.value.message
    assert "--prepare" in (caught.value.hint or "")


def test_a_broken_picture_is_named_before_anything_is_computed(tmp_path: Path, models: tuple[Mean, Asked]) -> None:
    (made.write_jsonl(tmp_path / "mine") / "images/3-1-wrist.png").write_bytes(b"no picture")

    with pytest.raises(InputRefused, match=r"3-1-wrist\.png"):
        prepare.prepare(settings(tmp_path))

    assert models[0].seen == 0


@pytest.mark.parametrize("word", ["out={}/out", "cache.folder={}"])
def test_results_and_cache_inside_the_users_folder_are_refused(word: str, tmp_path: Path) -> None:
    before = made.digest(made.write_jsonl(tmp_path / "mine"))

    with pytest.raises(UsageError, match=r"is inside data\.path"):
        prepare.prepare(settings(tmp_path, word.format(tmp_path / "mine")))

    assert made.digest(tmp_path / "mine") == before


def test_an_output_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")
    (tmp_path / "out/regression").mkdir(parents=True)
    (tmp_path / "out/regression/config.yaml").write_text("mine")

    with pytest.raises(UsageError, match="holds other files"):
        train.train(settings(tmp_path), "regression")


def test_two_folders_are_one_training_and_keep_their_names(tmp_path: Path) -> None:
    for name in ("mine", "more"):
        made.write_jsonl(tmp_path / name)
    wanted = settings(tmp_path, f"data.path=[{tmp_path / 'mine'}, {tmp_path / 'more'}]")

    data, _ = prepare.prepare(wanted)

    assert [one.name for one in data.sets] == ["mine", "more"]
    assert len(data.train) + len(data.held_out) == 48


def test_two_folders_of_other_cameras_are_refused(tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")
    other = [row | {"images": None, "image": "images/0-0-top.png"} for row in made.rows()]
    made.write_jsonl(tmp_path / "more", other)

    with pytest.raises(InputRefused, match="more has cameras image"):
        prepare.prepare(settings(tmp_path, f"data.path=[{tmp_path / 'mine'}, {tmp_path / 'more'}]"))


def test_a_head_that_is_no_better_is_said_so_in_one_line() -> None:
    worse = Measures(rows=4, error=1.0, constant=0.9, by_number=(1.0,), blind=1.0)

    (line,) = warn("regression", worse)

    assert line.startswith(
        "warning: regression (1.000) is no better than the constant policy (0.900) and the same head"
    )
    assert not warn("regression", Measures(rows=4, error=0.1, constant=0.9, by_number=(0.1,), blind=0.8))


@pytest.mark.parametrize(
    ("override", "told"),
    [("training.epoch=3", "unknown setting training.epoch"), ("training.epochs=many", "training.epochs is 'many'"),
     ("data=3", "data is 3"), ("sampling.steps=1.5", "sampling.steps is 1.5"),
     ("cache.features=both", "cache.features is 'both'"), ("data.held_out=2.0", "data.held_out is 2.0"),
     ("data.form=csv", "data.form is 'csv'"), ("data.path=/nowhere", "data.path /nowhere: no such folder")],
)  # fmt: skip
def test_a_setting_that_is_none_is_refused_by_name(override: str, told: str, tmp_path: Path) -> None:
    made.write_jsonl(tmp_path / "mine")

    with pytest.raises(UsageError, match=told):
        prepare.prepare(settings(tmp_path, override))


def test_a_number_yaml_takes_for_a_word_is_a_number() -> None:
    assert config.read(None, ["training.lr=1e-3"]).training.lr == 0.001
