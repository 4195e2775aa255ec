"""A receipt as a value: equal bytes for equal receipts, contradictions refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.receipts import IMAGE, group, groups, receipt

from vldock.host.receipts.statement import Band, GroupResult, Receipt, failed_groups, find_missing_groups


def test_a_receipt_survives_its_bytes() -> None:
    made = receipt(groups=(*groups(), GroupResult("mini-benchmark", "passed", 1, bands=(Band("POPE", 85, 80, 90),))))

    assert Receipt.from_bytes(made.to_bytes()) == made


def test_the_same_receipt_gives_the_same_bytes() -> None:
    assert receipt().to_bytes() == receipt().to_bytes()


def test_the_statement_is_in_totos_and_names_the_image() -> None:
    statement = json.loads(receipt().to_bytes())

    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "vldock:4.37", "digest": {"sha256": "1" * 64}}]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"name": "speed", "status": "passed", "passed": 1}, "no such group"),
        ({"name": "static", "status": "fine", "passed": 1}, "no such status"),
        ({"name": "static", "status": "passed", "passed": 3, "failed": 1}, "1 tests failed"),
        ({"name": "static", "status": "passed"}, "no test did"),
        ({"name": "static", "status": "passed", "passed": -1}, "negative"),
        ({"name": "gpu", "status": "skipped", "skipped": 1}, "without a reason"),
        (
            {"name": "mini-benchmark", "status": "passed", "passed": 1, "bands": (Band("POPE", 50, 80, 90),)},
            "out of bounds: POPE",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_group_that_contradicts_itself_is_refused(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        GroupResult(**values)


def _without(*path: str) -> Any:
    def change(statement: dict[str, Any]) -> None:
        inner = statement
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        _without("predicate"),
        _without("predicate", "inputs"),
        _without("predicate", "image", "layers"),
        _without("subject"),
        lambda statement: statement["predicate"].update(schema=2),
        lambda statement: statement["predicate"].update(extra=1),
        lambda statement: statement.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda statement: statement["subject"][0]["digest"].update(sha256="9" * 64),
        lambda statement: statement["predicate"]["groups"][0].update(passed="many"),
        lambda statement: statement.update(predicate=[1, 2]),
    ],
    ids=["predicate", "inputs", "layers", "subject", "schema", "extra", "kind", "other subject", "count", "list"],
)
def test_anything_but_a_receipt_is_a_value_error(change: Any) -> None:
    statement = json.loads(receipt().to_bytes())
    change(statement)

    with pytest.raises(ValueError, match=r"."):
        Receipt.from_bytes(json.dumps(statement).encode())


def test_what_has_not_passed_is_named_with_its_result() -> None:
    made = receipt(groups=groups(gpu="skipped"))

    assert find_missing_groups([made], ("static", "gpu", "mini-benchmark")) == {
        "gpu": group("gpu", "skipped"),
        "mini-benchmark": None,
    }


def test_receipts_add_up() -> None:
    on_cpu, on_gpu = receipt(groups=groups(gpu="skipped")), receipt(groups=(group("gpu"),))

    assert find_missing_groups([on_cpu, on_gpu], ("static", "gpu")) == {}


def test_one_failed_group_in_any_receipt_counts() -> None:
    failed = replace(receipt(), groups=groups(users="failed"))

    assert failed_groups([receipt(), failed]) == [group("users", "failed")]


def test_an_image_is_the_same_only_with_its_layers_in_order() -> None:
    assert replace(IMAGE, layers=IMAGE.layers[::-1]) != IMAGE
