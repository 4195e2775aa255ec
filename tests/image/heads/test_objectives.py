"""Objectives: regression answers the mean, flow matching draws; its sampler follows the flow that is known exactly."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vldock.common.errors import UsageError
from vldock.image.heads.objectives import FlowMatching, Regression

MEAN, STD = torch.tensor([0.5, -2.0, 0.0]), torch.tensor([0.3, 1.5, 0.05])


def gaussian(solver: str, steps: int) -> FlowMatching:
    """Return a flow to N(MEAN, STD^2) along straight paths, whose velocity is known.

    x_t = (1 - t) x0 + t x1 is Gaussian, and E[x1 - x0 | x_t = x] is linear in x; its flow maps x0 to MEAN + STD x0.
    """
    flow = FlowMatching(width=1, actions=3, solver=solver, steps=steps)

    def velocity(x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return MEAN + (t * STD**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * STD**2) * (x - t * MEAN)

    flow.velocity = velocity  # type: ignore[method-assign]
    return flow


def error(solver: str, steps: int) -> float:
    """Return the largest distance of 256 draws from the exact map of their noise, in deviations of the target."""
    flow = gaussian(solver, steps).double()
    noise = torch.randn((256, 3), generator=torch.Generator().manual_seed(3)).double()
    ends = flow.act(torch.zeros(256, 1, dtype=torch.float64), torch.Generator().manual_seed(3))
    return float(((ends - (MEAN + STD * noise)) / STD).abs().max())


def test_draws_of_the_known_flow_are_the_targets_distribution() -> None:
    ends = gaussian("heun", 100).act(torch.zeros(20000, 1), torch.Generator().manual_seed(0))

    assert torch.allclose(ends.mean(dim=0), MEAN, atol=0.03)
    assert torch.allclose(ends.std(dim=0), STD, rtol=0.03)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_falls_with_the_solvers_order(solver: str, order: int) -> None:
    errors = [error(solver, steps) for steps in (100, 200, 400)]

    seen = [math.log2(first / second) for first, second in itertools.pairwise(errors)]

    assert seen == pytest.approx([order, order], abs=0.2)


@pytest.mark.parametrize(("solver", "steps", "bound"), [("euler", 100, 0.25), ("heun", 50, 0.06), ("heun", 100, 0.015)])
def test_the_error_at_so_many_steps_is_bounded(solver: str, steps: int, bound: float) -> None:
    assert error(solver, steps) < bound


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_a_straight_path_is_followed_exactly_at_any_number_of_steps(solver: str) -> None:
    flow = FlowMatching(width=1, actions=1, solver=solver, steps=3)
    flow.velocity = lambda x, t, context: torch.full_like(x, 2.5)  # type: ignore[method-assign]
    noise = torch.randn((64, 1), generator=torch.Generator().manual_seed(0))

    ends = flow.act(torch.zeros(64, 1), torch.Generator().manual_seed(0))

    assert torch.allclose(ends, noise + 2.5, atol=1e-6)


@pytest.mark.parametrize(("solver", "steps"), [("midpoint", 10), ("heun", 0)])
def test_another_solver_or_no_step_is_refused(solver: str, steps: int) -> None:
    with pytest.raises(UsageError, match=f"solver '{solver}' with {steps} steps"):
        FlowMatching(width=1, actions=1, solver=solver, steps=steps)


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
