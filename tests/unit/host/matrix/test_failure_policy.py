"""Whose fault a death is: the cell's, the model's or the device's."""

from __future__ import annotations

import pytest

from vldock.host.matrix.failure_policy import Decision, FailurePolicy

CELL, OTHER, LOAD = ("m", "POPE"), ("m", "MMStar"), ("m", None)


@pytest.fixture
def policy() -> FailurePolicy:
    """Three devices, nothing has happened."""
    return FailurePolicy(["d0", "d1", "d2"])


def test_a_first_death_is_tried_again_elsewhere(policy: FailurePolicy) -> None:
    assert policy.record_death(CELL, ["d0"]) == Decision()
    assert policy.devices_to_avoid(CELL) == {"d0"}


def test_a_cell_that_dies_on_two_devices_is_given_up_and_clears_them(policy: FailurePolicy) -> None:
    policy.record_death(CELL, ["d0"])

    assert policy.record_death(CELL, ["d1"]).given_up
    assert policy.record_death(OTHER, ["d1"]) == Decision()


def test_two_deaths_in_a_row_leave_a_device_out(policy: FailurePolicy) -> None:
    policy.record_death(CELL, ["d0"])

    assert policy.record_death(OTHER, ["d0"]) == Decision(left_out=("d0",))
    assert policy.usable == ["d1", "d2"]


def test_a_finished_cell_between_two_deaths_keeps_a_device(policy: FailurePolicy) -> None:
    policy.record_death(CELL, ["d0"])
    policy.record_success(["d0"])

    assert policy.record_death(OTHER, ["d0"]) == Decision()


def test_the_last_device_is_never_left_out() -> None:
    policy = FailurePolicy(["d0"])

    assert [policy.record_death(key, ["d0"]).left_out for key in (CELL, OTHER)] == [(), ()]
    assert policy.usable == ["d0"]


def test_a_load_that_fails_where_the_model_runs_elsewhere_is_the_devices_fault(policy: FailurePolicy) -> None:
    policy.record_load("m", ["d2"])

    assert policy.record_death(LOAD, ["d0"]) == Decision()
    assert policy.record_death(LOAD, ["d1"]) == Decision()
    assert policy.record_death(LOAD, ["d1"]) == Decision(left_out=("d1",))


def test_a_load_that_fails_on_two_devices_and_works_on_none_is_the_models(policy: FailurePolicy) -> None:
    policy.record_death(LOAD, ["d0"])

    assert policy.record_death(LOAD, ["d1"]).given_up


def test_where_no_other_device_is_left_a_final_death_is_the_end() -> None:
    assert FailurePolicy(["d0"]).record_death(CELL, ["d0"], final=True).given_up


def test_three_given_up_in_a_row_are_hopeless_and_refusals_are_not(policy: FailurePolicy) -> None:
    for key in (CELL, OTHER):
        policy.give_up(key)
    policy.give_up(LOAD, refused=True)
    before = policy.hopeless
    policy.give_up(("m", "BLINK"))

    assert (before, policy.hopeless) == (False, True)


def test_a_cell_shared_by_all_devices_may_be_tried_on_any_of_them_again(policy: FailurePolicy) -> None:
    assert policy.record_death(CELL, ["d0", "d1", "d2"]) == Decision()
    assert policy.devices_to_avoid(CELL) == frozenset()
    assert policy.record_death(CELL, ["d0"]).given_up
