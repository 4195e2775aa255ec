"""Names of data sets: what people call one is one repository."""

from __future__ import annotations

import pytest

from vldock.common.dataset_names import HUB_ALIASES, resolve_dataset


@pytest.mark.parametrize(
    "name",
    [
        "oxford_flowers102",
        "oxford-flowers",
        "OXFORD_FLOWERS102",
        "Oxford-Flowers-102",
        "Nelorth/Oxford-Flowers",
        " flowers102 ",
    ],
)
def test_every_name_of_the_oxford_flowers_is_one_repository(name: str) -> None:
    assert resolve_dataset(name) == "nelorth/oxford-flowers"


def test_a_name_of_no_alias_stays_as_it_was_written() -> None:
    assert resolve_dataset("My-Org/Flowers_of_Mine") == "My-Org/Flowers_of_Mine"


def test_every_alias_is_written_as_names_are_compared() -> None:
    assert {name: resolve_dataset(name.upper().replace("-", "_")) for name in HUB_ALIASES} == HUB_ALIASES
