"""Patched run.py reuses files of the same run, and of no other."""

from __future__ import annotations

import signal

import pandas as pd
from run_output import lines, predictions
from tiny_model import MODEL, Bench, write_pope

pytest_plugins = ["bench_fixture"]


def test_another_limit_sets_the_earlier_files_aside(bench: Bench) -> None:
    bench.run("--limit", "2")

    done = bench.run("--limit", "4")

    moved = sorted(path.name for path in (bench.out / "set-aside").glob("*/*"))
    assert len(lines(done, "SET ASIDE ")) == 1
    assert "limit was 2, is 4" in lines(done, "SET ASIDE ")[0]
    assert f"{MODEL}_POPE.xlsx" in moved
    assert f"{MODEL}_POPE_score.csv" in moved
    assert len(pd.read_excel(bench.out / f"{MODEL}_POPE_auxmatch.xlsx")) == 4


def test_the_same_run_again_answers_nothing_anew(bench: Bench) -> None:
    bench.run("--limit", "3")

    done = bench.run("--limit", "3", before="pass")

    assert done.returncode == 0
    assert lines(done, "ANSWERS ") == ["ANSWERS 0"]
    assert lines(done, "SET ASIDE ") == []


def test_changed_data_is_looked_at_anew_images_included(bench: Bench) -> None:
    bench.run("--limit", "2")
    write_pope(bench, 12, shade=7)

    done = bench.run("--limit", "2", before="pass")

    assert lines(done, "ANSWERS ") == ["ANSWERS 2"]
    assert "data.md5 was" in lines(done, "SET ASIDE ")[0]
    first, second = (folder / "0.png" for folder in sorted((bench.lmu / "images").glob("POPE-*")))
    assert first.read_bytes() != second.read_bytes()


def test_predictions_without_an_identity_are_not_taken(bench: Bench) -> None:
    bench.run("--limit", "2")
    (bench.out / f"{MODEL}_POPE_identity.json").unlink()

    done = bench.run("--limit", "2", before="pass")

    assert lines(done, "ANSWERS ") == ["ANSWERS 2"]
    assert "they carry no identity" in lines(done, "SET ASIDE ")[0]


def test_eval_mode_scores_what_the_limit_made_and_refuses_another(bench: Bench) -> None:
    bench.run("--limit", "3", "--mode", "infer")

    same, other = bench.run("--mode", "eval", "--limit", "3"), bench.run("--mode", "eval", "--limit", "2")

    assert (same.returncode, other.returncode) == (0, 1)
    assert "(3 samples" in lines(same, "SCORE ")[0]
    assert "limit was 3, is 2" in lines(other, "FAILED ")[0]
    assert len(predictions(bench, "POPE")) == 3


def test_a_killed_run_continues_where_it_was(bench: Bench) -> None:
    killed = bench.run("--limit", "8", before="n == 5 and os.kill(os.getpid(), signal.SIGKILL)")

    done = bench.run("--limit", "8", before="pass")

    assert killed.returncode == -signal.SIGKILL
    assert done.returncode == 0, done.stderr
    assert lines(done, "ANSWERS ") == ["ANSWERS 3"]
    assert len(predictions(bench, "POPE")) == 8


def test_a_torn_file_is_set_aside_and_the_run_goes_on(bench: Bench) -> None:
    bench.run("--limit", "3", before="n == 2 and os.kill(os.getpid(), signal.SIGKILL)")
    (bench.out / "01_POPE.pkl").write_bytes(b"\x80\x05torn")

    done = bench.run("--limit", "3", before="pass")

    assert done.returncode == 0, done.stderr
    assert "01_POPE.pkl cannot be read" in lines(done, "SET ASIDE ")[0]
    assert lines(done, "ANSWERS ") == ["ANSWERS 3"]


def test_a_failure_leaves_no_metric_of_an_earlier_run(bench: Bench) -> None:
    bench.run("--limit", "2")
    write_pope(bench, 12, shade=3)

    bench.run("--limit", "2", before="raise RuntimeError('boom')")

    assert "metrics" not in bench.status()["POPE"]
    assert bench.status()["POPE"]["error_message"] == "RuntimeError: boom"
