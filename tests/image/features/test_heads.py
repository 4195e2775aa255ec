"""Policy heads: regression takes the mean of two right actions, flow matching one.

Both learn from the cache.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features import towers
from vldock.image.heads import config, scenes, train
from vldock.image.heads.network import word_numbers
from vldock.image.heads.objectives import FlowMatching, Regression
from vldock.image.heads.policy import Policy

SIDE = 16  # patches to a side of the small model below
SETTINGS = ("data.train=480", "data.held_out=100", "training.epochs=10", "training.lr=0.01", "training.width=48")
BLIND = 0.68  # mean distance to the target of whoever always says the middle of the picture


@dataclass
class Patches:
    """Model of the builder's interface: distance of each patch to each colour.

    It counts the pictures it computes.
    """

    identity: str = "patches"
    layer: str = "only"
    computed: str = "float32"
    seen: int = 0

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        paints = torch.tensor([*scenes.COLORS.values(), (236, 234, 226)]) / 127.5 - 1
        patches = torch.nn.functional.adaptive_avg_pool2d(pixels, SIDE).flatten(2).transpose(1, 2)
        return (-4 * torch.cdist(patches, paints)).exp()


class Plain:
    """Processor: 48 pixels square, within -1..1."""

    def settings(self) -> str:
        return "48"

    def __call__(self, image: Image.Image) -> torch.Tensor:
        flat = torch.frombuffer(bytearray(image.resize((48, 48)).tobytes()), dtype=torch.uint8)
        return flat.view(48, 48, 3).permute(2, 0, 1).float() / 127.5 - 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, train.TrainingResult], Path, list[int]]:
    """Both heads, trained from one cache; their folder; pictures computed by then."""
    folder, model = tmp_path_factory.mktemp("heads"), Patches()
    places = (f"data.folder={folder / 'scenes'}", f"cache.folder={folder / 'cache'}", f"out={folder}")
    made = config.read(None, (*SETTINGS, *places))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(towers, "open_tower", lambda name, **_: (model, Plain()))
        train.prepare(made)
        seen = [model.seen]
        found = {"regression": train.train(made, "regression")}
        made = config.read(
            None, (*SETTINGS, *places, "training.epochs=2")
        )  # the path; benchmarks/features has the rest
        found["flow-matching"] = train.train(made, "flow-matching")
    return found, folder, [*seen, model.seen]


def test_a_head_learns_from_the_cache_what_holds_for_pictures_it_has_not_seen(
    trained: tuple[dict[str, train.TrainingResult], Path, list[int]],
) -> None:
    assert trained[0]["regression"].measures.position_error < 0.3 * BLIND


def test_flow_matching_lowers_its_loss_on_the_same_path(
    trained: tuple[dict[str, train.TrainingResult], Path, list[int]],
) -> None:
    losses = trained[0]["flow-matching"].losses

    assert losses[-1] < 0.95 * losses[0]


@pytest.fixture(scope="module")
def both() -> dict[str, torch.Tensor]:
    """Answers of each objective, 400 times, after -0.8 and 0.8 were shown equally often."""
    torch.manual_seed(0)
    heads = {
        "regression": Regression(width=4, actions=1),
        "flow-matching": FlowMatching(width=4, actions=1, solver="heun", steps=10),
    }
    chance, shown = torch.Generator().manual_seed(0), torch.tensor([[-0.8], [0.8]]).repeat(16, 1)
    answers = {}
    for name, head in heads.items():
        optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
        for _ in range(300):
            optimizer.zero_grad()
            with torch.enable_grad():  # a test that imports VLMEvalKit turns gradients off for the process
                head.loss(torch.ones(32, 4), shown, chance).backward()
            optimizer.step()
        with torch.inference_mode():
            answers[name] = head.act(torch.ones(400, 4), chance)
    return answers


def test_regression_answers_between_two_right_actions(both: dict[str, torch.Tensor]) -> None:
    assert both["regression"].abs().max() < 0.1


def test_flow_matching_takes_one_of_two_right_actions_and_each_as_often(both: dict[str, torch.Tensor]) -> None:
    answers = both["flow-matching"]

    assert ((answers.abs() - 0.8).abs() < 0.3).float().mean() > 0.9
    assert 0.4 < (answers < 0).float().mean() < 0.6


def test_training_computes_no_features(trained: tuple[dict[str, train.TrainingResult], Path, list[int]]) -> None:
    found, _, seen = trained

    assert seen == [580, 580]
    assert {one.misses for one in found.values()} == {0}


def test_a_saved_head_answers_as_the_trained_one_did(
    trained: tuple[dict[str, train.TrainingResult], Path, list[int]],
) -> None:
    _, folder, _ = trained
    policy = Policy.load(folder / "flow-matching/policy.safetensors").eval()
    words = torch.tensor([word_numbers("reach the red circle", scenes.VOCABULARY)] * 2)
    features = torch.rand(2, SIDE * SIDE, 5)

    with torch.inference_mode():
        answers = [policy.act(features, words, torch.Generator().manual_seed(0)) for _ in range(2)]

    assert torch.equal(*answers)
    assert json.loads((folder / "flow-matching/measures.json").read_text())["objective"] == "flow-matching"
    assert config.read(folder / "flow-matching/config.yaml").training.epochs == 2


def test_rows_that_are_not_cached_are_refused_and_not_computed_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(towers, "open_tower", lambda name, **_: (Patches(), Plain()))
    made = config.read(
        None, (f"data.folder={tmp_path}", "data.train=2", "data.held_out=1", f"cache.folder={tmp_path}/c")
    )

    with pytest.raises(InputRefused, match="row 0"):
        train.train(made, "regression")


def _velocity_of(target: float) -> FlowMatching:
    """Return a flow whose velocity is exact for one target: straight to it."""
    flow = FlowMatching(width=1, actions=1, solver="euler", steps=1)
    flow.velocity = lambda x, t, context: (target - x) / (1 - t).clamp(min=1e-6)  # type: ignore[method-assign]
    return flow


@pytest.mark.parametrize(("solver", "steps"), [("euler", 1), ("euler", 7), ("heun", 5)])
def test_the_sampler_follows_straight_paths_to_their_end(solver: str, steps: int) -> None:
    flow = _velocity_of(0.25)
    flow.solver, flow.steps = solver, steps

    ends = flow.act(torch.zeros(64, 1), torch.Generator().manual_seed(0))

    assert (ends - 0.25).abs().max() < (1e-5 if solver == "euler" else 0.7)


def test_heun_is_nearer_than_euler_on_a_curved_path() -> None:
    def error(solver: str) -> float:
        flow = FlowMatching(width=1, actions=1, solver=solver, steps=8)
        flow.velocity = lambda x, t, context: x  # type: ignore[method-assign]  # x(1) = e x(0)
        start = torch.randn((16, 1), generator=torch.Generator().manual_seed(3))
        end = flow.act(torch.zeros(16, 1), torch.Generator().manual_seed(3))
        return (end - start * torch.e).abs().max().item()

    assert error("heun") < error("euler") / 10


@pytest.mark.parametrize(
    ("override", "told"),
    [("training.epoch=3", "unknown setting training.epoch"), ("training.epochs=many", "training.epochs is 'many'"),
     ("data=3", "data is 3"), ("sampling.steps=1.5", "sampling.steps is 1.5")],
)  # fmt: skip
def test_a_setting_that_is_none_is_refused_by_name(override: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        config.read(None, [override])


def test_a_number_yaml_takes_for_a_word_is_a_number() -> None:
    assert config.read(None, ["training.lr=1e-3"]).training.lr == 0.001


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(InputRefused, match="'grab'"):
        word_numbers("grab the red circle", scenes.VOCABULARY)
