"""A group's result follows from its JUnit report and pytest's exit code."""

from __future__ import annotations

import pytest
from support.paths import ROOT

from vldock.host.containers import gpus
from vldock.host.docker_engine.client import EngineStatus
from vldock.host.receipts.statement import GROUPS
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import suite as verification_suite
from vldock.host.verification import workflow
from vldock.host.verification.groups import Counts, make_result, read_junit

REPORT = """<testsuites><testsuite>
<testcase classname="tests.docker.test_image" name="test_a" time="0.5"/>
<testcase classname="tests.docker.test_image" name="test_b" time="0.5"><failure message="no"/></testcase>
<testcase classname="tests.docker.test_image" name="test_c"><skipped/></testcase>
<testcase classname="tests.docker.test_image" name="test_d"><error/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted_with_the_names_of_its_failures(tmp_path):
    (tmp_path / "x.xml").write_text(REPORT)
    counts = read_junit(tmp_path / "x.xml")
    assert (counts.passed, counts.failed, counts.skipped, counts.seconds) == (1, 2, 1, 1.0)
    assert counts.failures == ("test_image::test_b", "test_image::test_d")


@pytest.mark.parametrize(
    ("counts", "exit_code", "status"),
    [
        pytest.param(Counts(3, 0, 0, (), 1.0), 0, "passed", id="all passed"),
        pytest.param(Counts(3, 1, 0, ("t",), 1.0), 1, "failed", id="one failed"),
        pytest.param(Counts(3, 0, 0, (), 1.0), 137, "failed", id="pytest was killed after a green report"),
        pytest.param(Counts(0, 0, 12, (), 0.0), 0, "skipped", id="all skipped"),
        pytest.param(Counts(14, 0, 9, (), 1.0), 0, "failed", id="some skipped beside a GPU"),
    ],
)
def test_a_result_needs_both_a_green_report_and_a_green_exit(counts, exit_code, status):
    assert make_result("gpu", counts, exit_code=exit_code).status == status


def test_every_group_that_is_run_counts_in_a_receipt():
    assert set(verify_groups.ORDER) <= set(GROUPS)
    assert {*verify_groups.HOST_GROUPS, *verify_groups.INSIDE_GROUPS} == set(verify_groups.ORDER)


def test_every_file_of_a_group_exists():
    folder = ROOT / "tests" / "docker"
    assert all((folder / name).is_file() for names in verify_groups.HOST_GROUPS.values() for name in names)


ENGINE = EngineStatus(endpoint="unix:///var/run/docker.sock", answers=True)


@pytest.mark.parametrize(
    ("asked", "gpu", "required", "chosen", "why"),
    [
        ("auto", True, False, "all", ""),
        ("auto", False, False, "none", "no GPU"),
        ("none", True, False, "none", "by choice"),
        ("none", False, False, "none", "no GPU"),
        ("1", True, False, "1", ""),
        ("auto", False, True, "all", ""),
        ("none", True, True, "all", ""),
    ],
)
def test_a_gpu_that_is_here_is_used_unless_it_is_declined_aloud(monkeypatch, asked, gpu, required, chosen, why):
    monkeypatch.setattr(gpus, "why_unavailable", lambda status: None if gpu else "this machine has no NVIDIA driver")

    found, said = workflow.choose_gpus(asked, ENGINE, required=required)

    assert found == chosen
    assert said.startswith(why)
    assert bool(said) == (chosen == "none")


@pytest.mark.parametrize(
    ("counts", "told", "gpu"),
    [
        (Counts(23, 0, 0, (), 1.0), '{"device": "NVIDIA H200"}', "NVIDIA H200"),
        (Counts(23, 0, 0, (), 1.0), None, "0,1"),
        (Counts(23, 1, 0, ("t",), 1.0), '{"device": "NVIDIA H200"}', None),
        (Counts(0, 0, 23, (), 0.0), None, None),
    ],
    ids=["passed", "no self-test", "failed", "skipped"],
)
def test_a_receipt_names_the_card_that_passed(tmp_path, counts, told, gpu):
    asked = verification_suite.VerificationRequest(image="i", folder=tmp_path, reports=tmp_path, gpus="0,1")
    if told:
        (tmp_path / "selftest.json").write_text(told)

    done = [verification_suite.TimedResult(make_result("gpu", counts, exit_code=1 if counts.failed else 0), 0.1)]

    assert workflow.name_tested_gpu(asked, done) == gpu


def test_the_reason_of_a_skipped_gpu_group_is_told():
    told = make_result("gpu", Counts(0, 0, 3, (), 0.0), exit_code=0, no_gpu="by choice: --gpus none")
    assert told.reason == "by choice: --gpus none"


@pytest.mark.parametrize(("require_gpu", "good"), [(False, True), (True, False)], ids=["cpu", "gpu required"])
def test_a_skipped_gpu_group_is_good_enough_only_where_no_gpu_is_required(require_gpu, good):
    done = [verification_suite.TimedResult(make_result("static", Counts(1, 0, 0, (), 0.1), exit_code=0), 0.1)]
    done += [verification_suite.TimedResult(make_result("gpu", Counts(0, 0, 3, (), 0.0), exit_code=0), 0.1)]
    assert verification_suite.is_verified(done, require_gpu=require_gpu) is good
