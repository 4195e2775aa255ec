"""The mini-benchmark: real weights, whole benchmarks, this image, scores within bounds."""

from __future__ import annotations

import pytest
from support.builders import a_cell, a_plan

from vldock.common.errors import InputRefused
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord
from vldock.host.util import checkout
from vldock.host.verification import mini_benchmark
from vldock.host.verification.mini_benchmark import ScoreBounds

IMAGE = "sha256:" + "1" * 64
BOUNDS = (ScoreBounds("llava_v1.5_7b", "POPE", 80.0, 90.0, "a paper"),)


@pytest.fixture
def run(tmp_path):
    """A function that writes a finished run with one cell, changed as asked, and returns its folder."""

    def make(*, cell=None, **plan):
        folder = RunFolder(tmp_path)
        wanted = a_plan(**{"standin": False, "samples": None, **plan})
        folder.save(RunRecord("1", "2026-01-02T03:04:05+00:00", wanted, state="finished"))
        if cell is not None:
            folder.cell("llava_v1.5_7b", "POPE").mkdir(parents=True)
            a_cell(**{"standin": False, **cell}).save(folder.cell("llava_v1.5_7b", "POPE"))
        return tmp_path

    return make


@pytest.mark.parametrize("score", [80.0, 85.5, 90.0])
def test_a_score_within_its_bounds_passes(run, score):
    result = mini_benchmark.score_run(run(cell={"score": score}), image=IMAGE, bounds=BOUNDS)
    assert (result.status, result.bands[0].score) == ("passed", score)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        pytest.param({"score": 79.9}, "79.90 is not within 80 to 90", id="too low"),
        pytest.param({"score": 99.0}, "99.00 is not within", id="too high"),
        pytest.param({"status": "failed", "score": None, "error": "no TSV"}, "no score (no TSV)", id="failed"),
        pytest.param({"score": 85.0, "standin": True}, "no score", id="a cell of a stand-in"),
        pytest.param(None, "no score", id="missing"),
    ],
)
def test_anything_else_fails_and_says_why(run, cell, says):
    result = mini_benchmark.score_run(run(cell=cell), image=IMAGE, bounds=BOUNDS)
    assert result.status == "failed"
    assert says in result.failures[0]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"standin": True}, "stand-ins"),
        ({"samples": 100}, "100 samples"),
        ({"image_id": "sha256:" + "2" * 64}, "not sha256:1111"),
    ],
)
def test_a_run_that_cannot_speak_for_the_image_is_refused(run, plan, says):
    with pytest.raises(InputRefused, match=says):
        mini_benchmark.score_run(run(cell={"score": 85.0}, **plan), image=IMAGE, bounds=BOUNDS)


def test_the_declared_bounds_have_a_source_and_a_width():
    bounds = mini_benchmark.load(checkout.root() / mini_benchmark.FILE)
    assert all(bound.source and 0 < bound.low < bound.high < 100 for bound in bounds)
