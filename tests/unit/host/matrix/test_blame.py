"""Whose fault a death was."""

from __future__ import annotations

import pytest

from vldock.host.matrix.failure_policy import Decision, FailurePolicy

CELL, OTHER, LOAD = ("m", "POPE"), ("m", "MMStar"), ("m", None)


@pytest.fixture
def blame() -> FailurePolicy:
    """Three devices, nothing has happened."""
    return FailurePolicy(["d0", "d1", "d2"])


def test_a_first_death_is_tried_again_elsewhere(blame: FailurePolicy) -> None:
    assert blame.died(CELL, ["d0"]) == Decision()
    assert blame.avoided(CELL) == {"d0"}


def test_a_cell_that_dies_on_two_devices_is_given_up_and_clears_them(blame: FailurePolicy) -> None:
    blame.died(CELL, ["d0"])

    assert blame.died(CELL, ["d1"]).given_up
    assert blame.died(OTHER, ["d1"]) == Decision()


def test_two_deaths_in_a_row_leave_a_device_out(blame: FailurePolicy) -> None:
    blame.died(CELL, ["d0"])

    assert blame.died(OTHER, ["d0"]) == Decision(left_out=("d0",))
    assert blame.usable == ["d1", "d2"]


def test_a_finished_cell_between_two_deaths_keeps_a_device(blame: FailurePolicy) -> None:
    blame.died(CELL, ["d0"])
    blame.finished(["d0"])

    assert blame.died(OTHER, ["d0"]) == Decision()


def test_the_last_device_is_never_left_out() -> None:
    blame = FailurePolicy(["d0"])

    assert [blame.died(key, ["d0"]).left_out for key in (CELL, OTHER)] == [(), ()]
    assert blame.usable == ["d0"]


def test_a_load_that_fails_where_the_model_runs_elsewhere_is_the_devices_fault(blame: FailurePolicy) -> None:
    blame.model_loaded("m", ["d2"])

    assert blame.died(LOAD, ["d0"]) == Decision()
    assert blame.died(LOAD, ["d1"]) == Decision()
    assert blame.died(LOAD, ["d1"]) == Decision(left_out=("d1",))


def test_a_load_that_fails_on_two_devices_and_works_on_none_is_the_models(blame: FailurePolicy) -> None:
    blame.died(LOAD, ["d0"])

    assert blame.died(LOAD, ["d1"]).given_up


def test_where_no_other_device_is_left_a_final_death_is_the_end() -> None:
    assert FailurePolicy(["d0"]).died(CELL, ["d0"], final=True).given_up


def test_three_given_up_in_a_row_are_hopeless_and_refusals_are_not(blame: FailurePolicy) -> None:
    for key in (CELL, OTHER):
        blame.give_up(key)
    blame.give_up(LOAD, refused=True)
    before = blame.hopeless
    blame.give_up(("m", "BLINK"))

    assert (before, blame.hopeless) == (False, True)


def test_a_cell_shared_by_all_devices_may_be_tried_on_any_of_them_again(blame: FailurePolicy) -> None:
    assert blame.died(CELL, ["d0", "d1", "d2"]) == Decision()
    assert blame.avoided(CELL) == frozenset()
    assert blame.died(CELL, ["d0"]).given_up
