"""A group is repeated into its receipt, for the same image and tests only."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import receipts

from vldock.common.errors import UsageError
from vldock.host.cli import main as cli
from vldock.host.cli import verify as verify_cli
from vldock.host.cli.main import invoke
from vldock.host.errors import OtherImage, OtherSuite, ReceiptUnreadable, UnknownKey
from vldock.host.receipts import envelope, image_facts
from vldock.host.receipts.statement import GroupResult, Receipt
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import repeat as verify_repeat
from vldock.host.verification import suite as verification_suite
from vldock.host.verification.repeat import EarlierVerification
from vldock.host.verification.suite import TimedResult

FAILED = receipts.groups(inside="failed")
COUNTS = verify_groups.Counts(5, 0, 0, (), 1.0)
NOW_PASSED = GroupResult("inside", "passed", passed=5)


def earlier(reports: Path, root: Path | None = None, **values: Any) -> EarlierVerification:
    """Load a verification of the tests' image."""
    wanted = {"image": receipts.IMAGE, "suite": receipts.suite(), "key": None, **values}
    return verify_repeat.load(reports, root=root or reports.parent, name="vldock:4.37", **wanted)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A verification whose group inside failed."""
    receipts.sealed(tmp_path / "first/receipt.json", groups=FAILED)
    return tmp_path / "first"


def test_the_repeated_group_is_replaced_and_its_earlier_attempt_told(reports: Path) -> None:
    found = earlier(reports).merge([TimedResult(NOW_PASSED, 7.0)])

    assert [one.result.name for one in found] == [group.name for group in FAILED]
    (inside,) = [one.result for one in found if one.result.name == "inside"]
    assert (inside.status, inside.attempts, inside.earlier) == ("passed", 2, ("failed (1 failed; test_x)",))
    assert str(inside) == "inside: passed (5 passed); attempt 2, before: failed (1 failed; test_x)"


def test_every_attempt_stays_in_the_statement(reports: Path) -> None:
    third = NOW_PASSED.after(replace(NOW_PASSED, status="failed", failed=1).after(FAILED[3]))
    stated = receipts.receipt(groups=(third,))

    again = Receipt.from_bytes(stated.to_bytes())

    assert again == stated
    assert (again.groups[0].attempts, len(again.groups[0].earlier)) == (3, 2)


def test_a_receipt_from_before_attempts_were_counted_is_read() -> None:
    raw = receipts.receipt(groups=FAILED).to_bytes().replace(b'"attempts":1,', b"").replace(b'"earlier":[],', b"")

    assert Receipt.from_bytes(raw).groups == FAILED


def test_attempts_that_are_not_told_are_no_result() -> None:
    with pytest.raises(ValueError, match="attempt 2, 0 before it"):
        GroupResult("inside", "passed", passed=1, attempts=2)


def test_without_a_folder_the_latest_of_this_image_is_meant(tmp_path: Path) -> None:
    other = replace(receipts.IMAGE, config="sha256:" + "9" * 64)
    for name, image, hour in (("a", receipts.IMAGE, 1), ("b", receipts.IMAGE, 2), ("c", other, 3)):
        receipts.sealed(tmp_path / name / "receipt.json", image, time=f"2026-11-01T0{hour}:00:00+00:00")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/receipt.json").write_text("{")

    assert verify_repeat.latest(tmp_path, image=receipts.IMAGE, name="x") == tmp_path / "b"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"image": replace(receipts.IMAGE, config="sha256:" + "9" * 64)}, OtherImage),
        ({"suite": replace(receipts.suite(), tests="0" * 64)}, OtherSuite),
        ({"suite": replace(receipts.suite(), patches="0" * 64)}, OtherSuite),
    ],
    ids=["image", "tests", "patches"],
)
def test_another_image_or_other_tests_are_refused(reports: Path, changed: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        earlier(reports, **changed)


def test_where_nothing_was_verified_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReceiptUnreadable) as caught:
        verify_repeat.latest(tmp_path, image=receipts.IMAGE, name="vldock:4.37")

    assert "hint: vldock verify vldock:4.37" in caught.value.render()


def test_a_signed_receipt_is_replaced_by_its_own_signer_only(tmp_path: Path) -> None:
    ours, _, _ = envelope.keygen(tmp_path / "ours")
    theirs, _, _ = envelope.keygen(tmp_path / "theirs")
    receipts.sealed(tmp_path / "first/receipt.json", key=ours)

    assert earlier(tmp_path / "first", key=ours).receipt.signing == "ed25519"
    with pytest.raises(UsageError, match="--key was not given"):
        earlier(tmp_path / "first")
    with pytest.raises(UnknownKey):
        earlier(tmp_path / "first", key=theirs)


def test_a_group_that_was_not_run_is_not_repeated(reports: Path) -> None:
    with pytest.raises(UsageError, match="--again gpu: it was not run"):
        earlier(reports).require_groups(["gpu"])


def test_the_earlier_report_is_kept_beside_the_new_one(reports: Path) -> None:
    (reports / "inside.xml").write_text("old")

    earlier(reports).keep_reports(["inside", "users"])

    assert [path.name for path in reports.glob("*.xml")] == ["inside.1.xml"]


def test_a_failed_group_is_one_line_with_its_tests_and_the_next_command(tmp_path: Path) -> None:
    failed = GroupResult("inside", "failed", passed=8, failed=2, failures=("test_a::test_x", "test_b::test_y"))

    (line,) = verification_suite.failure_lines(
        [TimedResult(NOW_PASSED, 1.0), TimedResult(failed, 1.0)], image="i:1", reports=tmp_path
    )

    assert line == (
        "FAILED inside (2 of 10): test_a::test_x, test_b::test_y; "
        f"again: vldock verify i:1 --again inside --reports {tmp_path}"
    )


@pytest.fixture
def an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine with the tests' image in it, whose groups pass when they are run."""
    attrs = {"Config": {"Labels": {}}, "RootFS": {"Layers": list(receipts.IMAGE.layers)}}
    image = SimpleNamespace(id=receipts.IMAGE.config, attrs=attrs)
    client = SimpleNamespace(images=SimpleNamespace(get=lambda name: image), info=lambda: {})

    @contextmanager
    def connected() -> Any:
        yield client

    monkeypatch.setattr(verify_cli.docker_client, "open_client", connected)
    monkeypatch.setattr(image_facts, "read_build_facts", lambda *_: {"base": "base@sha256:" + "0" * 64})
    monkeypatch.setattr(
        verification_suite, "run_group", lambda name, *_, **__: verify_groups.make_result(name, COUNTS, exit_code=0)
    )


def test_the_command_runs_that_group_alone_and_writes_both_files_anew(
    an_engine: None, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verification_suite.save_results(
        reports / "results.json", "vldock:4.37", [TimedResult(group, 60.0) for group in FAILED]
    )

    code = invoke(cli.cli, ["verify", "--again", "inside", "--reports", str(reports)])

    assert code == 0, capsys.readouterr()
    stated = envelope.load(reports / "receipt.json").receipt
    assert [(group.name, group.status, group.attempts) for group in stated.groups] == [
        (group.name, "passed", 2 if group.name == "inside" else 1) for group in FAILED
    ]
    rows = {row["name"]: row for row in json.loads((reports / "results.json").read_text())["groups"]}
    assert (rows["inside"]["attempts"], rows["users"]["seconds"]) == (2, 60.0)


def test_again_goes_with_no_other_groups(an_engine: None) -> None:
    assert invoke(cli.cli, ["verify", "--again", "inside", "--group", "static"]) == 2
