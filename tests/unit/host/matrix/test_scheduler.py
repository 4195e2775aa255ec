"""Scheduler: longest first, loaded models kept, nothing twice, deterministic."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from vldock.host.matrix import scheduler
from vldock.host.matrix.scheduler import DeviceState, Schedule, Task

A, B = "llava_v1.5_7b", "llava_v1.5_13b"


def tasks(model: str, *seconds: float) -> list[Task]:
    return [Task((model, f"b{number}"), one) for number, one in enumerate(seconds)]


def ahead(names: list[str], waiting: list[Task], *, load: float = 0.0, share: bool = False) -> Schedule:
    return scheduler.simulate(names, waiting, load=lambda model: load, share=share)


def test_the_longest_cell_begins_first() -> None:
    planned = ahead(["d0", "d1"], tasks(A, 1, 5, 3, 8, 2)).planned

    assert [item.ends - item.begins for item in planned] == [8, 5, 3, 2, 1]


def test_one_device_keeps_the_plans_order_and_loads_each_model_once() -> None:
    planned = ahead(["d0"], [*tasks(A, 1, 5), *tasks(B, 9, 2)], load=10).planned

    assert [item.key for item in planned] == [(A, "b0"), (A, "b1"), (B, "b0"), (B, "b1")]
    assert planned[-1].ends == 10 + 1 + 5 + 10 + 9 + 2


def test_two_models_on_two_devices_stay_where_they_are_loaded() -> None:
    planned = ahead(["d0", "d1"], [*tasks(A, 5, 5, 5), *tasks(B, 5, 5, 5)], load=100).planned

    assert Counter((item.key[0], item.devices) for item in planned) == {(A, ("d0",)): 3, (B, ("d1",)): 3}


@pytest.mark.parametrize(("load", "helpers"), [(10.0, {"d0", "d1"}), (5000.0, {"d0"})], ids=["worth", "not worth"])
def test_a_free_device_loads_the_others_model_only_where_all_is_done_sooner(load: float, helpers: set[str]) -> None:
    schedule = ahead(["d0", "d1"], [*tasks(A, *[100] * 20), *tasks(B, 10)], load=load)

    assert {item.devices[0] for item in schedule.planned if item.key[0] == A} == helpers


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(20))
def test_every_cell_is_planned_once_and_no_device_does_two_at_a_time(seed: int, devices: int) -> None:
    chance = random.Random(seed)
    waiting = [task for model in (A, B) for task in tasks(model, *(chance.uniform(1, 100) for _ in range(12)))]
    names = [f"d{number}" for number in range(devices)]

    made = ahead(names, waiting, load=chance.uniform(0, 50), share=True)

    assert Counter(item.key for item in made.planned) == Counter(task.key for task in waiting)
    for name in names:
        mine = sorted(made.of(name), key=lambda item: item.begins)
        assert all(one.ends <= after.begins for one, after in itertools.pairwise(mine))


@pytest.mark.parametrize("seed", range(20))
def test_without_loads_no_schedule_is_a_third_longer_than_the_best_there_can_be(seed: int) -> None:
    """Graham 1969: the longest first ends within 4/3 of the optimum, which is at least this bound."""
    seconds = [random.Random(seed).uniform(1, 100) for _ in range(20)]

    made = ahead(["d0", "d1", "d2"], tasks(A, *seconds))

    assert made.makespan <= 4 / 3 * max(sum(seconds) / 3, max(seconds))


def test_the_same_question_has_the_same_answer() -> None:
    waiting = [*tasks(A, *[7] * 9), *tasks(B, *[7] * 9)]

    assert ahead(["d0", "d1"], waiting, load=3) == ahead(["d0", "d1"], waiting, load=3)


def test_a_cell_goes_to_no_device_it_died_on() -> None:
    devices = {"d0": DeviceState("d0"), "d1": DeviceState("d1", A, 50, busy=True)}
    struck = [Task((A, "b0"), 9, frozenset({"d0"}))]

    assert scheduler.choose("d0", devices, struck, load=lambda model: 0.0) is None


def test_a_device_comes_to_a_cell_that_died_where_its_model_is() -> None:
    devices = {"d0": DeviceState("d0"), "d1": DeviceState("d1", A, 50, busy=True)}
    struck = [Task((A, "b0"), 9, frozenset({"d1"}))]

    choice = scheduler.choose("d0", devices, struck, load=lambda model: 1000.0)

    assert choice == scheduler.Assignment(struck[0], ("d0",))


def test_one_long_cell_is_spread_over_all_devices_and_the_rest_follows() -> None:
    planned = ahead(["d0", "d1", "d2", "d3"], tasks(A, 10, 1000, 10, 10), load=5, share=True).planned

    assert planned[0].key == (A, "b1")
    assert (len(planned[0].devices), planned[0].ends) == (4, 5 + 250)
    assert {len(item.devices) for item in planned[1:]} == {1}


@pytest.mark.parametrize(
    ("seconds", "load"), [([100.0] * 8, 5.0), ([30.0], 60.0)], ids=["enough cells", "load dearer than the cell"]
)
def test_cells_that_spread_evenly_or_are_short_are_not_shared(seconds: list[float], load: float) -> None:
    planned = ahead(["d0", "d1"], tasks(A, *seconds), load=load, share=True).planned

    assert {len(item.devices) for item in planned} == {1}
