"""Patched run.py with a tiny random LLaVA and synthetic benchmarks: output and files."""

from __future__ import annotations

import json

import pytest
from run_output import lines, predictions
from tiny_model import MODEL, Bench, write_extras

pytest_plugins = ["bench_fixture"]
COMMIT = "354a485c"


def test_three_benchmarks_are_scored_and_told(bench: Bench) -> None:
    done = bench.run_cold(data="POPE MMBench_DEV_EN OCRBench", VLMEVAL_SAMPLE_LIMIT="3")

    assert done.returncode == 0, done.stderr
    scores = lines(done, "SCORE ")
    assert [line.split(":")[0] for line in scores] == [
        f"SCORE {MODEL} x {b}" for b in ("POPE", "MMBench_DEV_EN", "OCRBench")
    ]
    assert all("(3 samples" in line for line in scores)
    assert len(predictions(bench, "POPE")) == 3
    assert json.loads((bench.out / "status.json").read_text())["commit"] == COMMIT


def test_no_file_is_named_after_a_judge_that_did_not_run(bench: Bench) -> None:
    done = bench.run(data="MMBench_DEV_EN", VLMEVAL_SAMPLE_LIMIT="2")

    assert lines(done, "judge: ") == [
        "judge: exact_matching, because no OPENAI_API_KEY is set for the judge gpt-4o-mini"
    ]
    assert (bench.out / f"{MODEL}_MMBench_DEV_EN_exact_matching_result.xlsx").is_file()
    assert [path.name for path in bench.out.iterdir() if "gpt" in path.name] == []


def test_nothing_is_left_in_a_dated_folder(bench: Bench) -> None:
    bench.run("--limit", "1")

    assert [path.name for path in bench.out.iterdir() if path.is_dir() and path.name.startswith("T2")] == []


def test_unknown_names_are_told_with_close_ones_before_a_model_is_loaded(bench: Bench) -> None:
    done = bench.run(model="llava_v1.5_7x", data="POP")

    assert done.returncode == 2
    assert lines(done, "error: ") == [
        "error: unknown model 'llava_v1.5_7x': did you mean llava_v1.5_7b or llava_v1_7b or llava_v1.5_13b?",
        "error: unknown benchmark 'POP': did you mean POPE?",
    ]
    assert not bench.out.exists()


def test_a_missing_file_fails_its_cell_in_one_line_and_not_the_others(bench: Bench) -> None:
    done = bench.run("--limit", "2", data="TextVQA_VAL POPE")

    failed = lines(done, "FAILED ")
    assert done.returncode == 1
    assert len(failed) == 1
    assert f"x TextVQA_VAL: {bench.lmu}/TextVQA_VAL.tsv does not exist and HF_HUB_OFFLINE=1; put it there" in failed[0]
    assert len(lines(done, f"SCORE {MODEL} x POPE")) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "Traceback" in "".join(path.read_text() for path in (bench.root / "out/logs").iterdir())


def test_a_file_of_another_md5_is_refused_and_kept(bench: Bench) -> None:
    before = (bench.lmu / "POPE.tsv").read_bytes()

    done = bench.run("--limit", "2", VLDOCK_ACCEPT_MD5="")

    assert done.returncode == 1
    assert "VLDOCK_ACCEPT_MD5=POPE=" in lines(done, "FAILED ")[0]
    assert (bench.lmu / "POPE.tsv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "env", "named"),
    [
        ([], {"VLMEVAL_SAMPLE_LIMIT": "ten"}, "VLMEVAL_SAMPLE_LIMIT='ten'"),
        (["--limit", "0"], {}, "--limit='0'"),
        (["--judge", "gpt-4o-mini"], {}, "OPENAI_API_KEY is not set"),
    ],
    ids=["variable", "option", "judge"],
)
def test_what_cannot_work_is_exit_2_in_one_line(
    bench: Bench, options: list[str], env: dict[str, str], named: str
) -> None:
    done = bench.run(*options, **env)

    assert done.returncode == 2
    assert len(lines(done, "error: ")) == 1
    assert named in lines(done, "error: ")[0]


def test_a_model_that_is_not_cached_fails_each_cell_with_the_cache_named(bench: Bench) -> None:
    done = bench.run("--limit", "2", model="llava_v1.5_13b", data="POPE OCRBench")

    assert done.returncode == 1
    assert [line.split(":")[0] for line in lines(done, "FAILED ")] == [
        "FAILED llava_v1.5_13b x POPE",
        "FAILED llava_v1.5_13b x OCRBench",
    ]
    assert all(f"not in {bench.cache} and HF_HUB_OFFLINE=1" in line for line in lines(done, "FAILED "))
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("skip", "cause"),
    [("", "RuntimeError: boom"), ("1", "1 of 3 predictions failed")],
    ids=["raised", "skipped with SKIP_ERR"],
)
def test_an_answer_that_fails_fails_the_cell(bench: Bench, skip: str, cause: str) -> None:
    done = bench.run("--limit", "3", before="if n == 1: n += 1; raise RuntimeError('boom')", SKIP_ERR=skip)

    assert done.returncode == 1
    assert lines(done, "FAILED ") == [f"FAILED {MODEL} x POPE: {cause}"]
    assert "Traceback" not in done.stdout + done.stderr


def test_the_four_extra_benchmarks_are_scored_under_a_limit(bench: Bench) -> None:
    write_extras(bench)
    names = ["MME", "NaturalBenchDataset", "MMStar_KO", "CCOCR_MultiLanOcr_Korean"]

    done = bench.run("--limit", "5", data=" ".join(names))

    assert lines(done, "FAILED ") == []
    assert [line.split(":")[0] for line in lines(done, "SCORE ")] == [f"SCORE {MODEL} x {name}" for name in names]


def test_results_of_stand_ins_lie_apart_and_say_so(bench: Bench) -> None:
    done = bench.run("--limit", "2", VLDOCK_STANDIN="1")

    folder = bench.root / "out/STAND-IN" / MODEL
    assert done.returncode == 0, done.stderr
    assert lines(done, "SCORE ")[0].endswith("[STAND-IN]")
    assert (folder / "STAND-IN.txt").is_file()
    assert json.loads((folder / "status.json").read_text())["standin"] is True
