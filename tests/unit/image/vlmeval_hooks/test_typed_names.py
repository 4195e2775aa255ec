"""Names after --model and --data are resolved, and unscored test splits named, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.image.vlmeval_hooks.run.typed_names import resolve

EXACT = ["--data", "MMBench_DEV_EN", "POPE", "--model", "llava_v1.5_7b", "InternVL2-1B", "--limit", "3"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty folder of tables."""
    return {"LMUData": str(tmp_path)}


def test_exact_names_are_left_and_nothing_is_printed(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert resolve(EXACT, env) == EXACT
    assert capsys.readouterr().err == ""


def test_every_value_is_resolved_and_said_in_one_line(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    argv = resolve(["--data", "TextVQA", "POPE", "--model=LLaVA-1.5-7B", "--work-dir", "GQA"], env)

    assert argv == ["--data", "TextVQA_VAL", "POPE", "--model=llava_v1.5_7b", "--work-dir", "GQA"]
    assert capsys.readouterr().err == "TextVQA is TextVQA_VAL; LLaVA-1.5-7B is llava_v1.5_7b\n"


def test_another_rank_prints_nothing(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert resolve(["--data", "GQA"], {**env, "RANK": "1"}) == ["--data", "GQA_TestDev_Balanced"]
    assert capsys.readouterr().err == ""


def test_a_table_and_a_model_of_the_users_own_win(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "GQA.tsv").touch()
    argv = ["--data", "GQA", "--model", "cogvlm"]

    assert resolve(argv, {**env, "VLDOCK_MODELS": "cogvlm=/weights/mine"}) == argv


def test_mmbench_is_its_split_with_answers(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert resolve(["--data", "MMBench"], env) == ["--data", "MMBench_DEV_EN"]
    assert capsys.readouterr().err == ("MMBench is a test split without public answers, MMBench_DEV_EN is evaluated\n")


@pytest.mark.parametrize(("name", "other"), [("MMBench_TEST_EN", "MMBench_DEV_EN"), ("DocVQA_TEST", "DocVQA_VAL")])
def test_a_test_split_that_nothing_scores_is_refused(env: dict[str, str], name: str, other: str) -> None:
    with pytest.raises(UsageError, match=f"--data {name}: its answers are not public, nothing would be scored") as told:
        resolve(["--data", name, "--model", "llava_v1.5_7b"], env)

    assert told.value.hint == f"--data {other}, or --mode infer to predict only"


@pytest.mark.parametrize("name", ["MMBench", "DocVQA_TEST", "MLLMGuard_DS"])
@pytest.mark.parametrize("mode", [["--mode", "infer"], ["--mode=infer"]])
def test_it_is_predicted_where_that_is_asked_for(env: dict[str, str], name: str, mode: list[str]) -> None:
    assert resolve(["--data", name, *mode], env) == ["--data", name, *mode]


def test_a_submission_is_said_and_made(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert resolve(["--data", "MMMU_TEST"], env) == ["--data", "MMMU_TEST"]
    assert "MMMU_TEST is predicted for its official server and not scored" in capsys.readouterr().err


@pytest.mark.parametrize(("answers", "taken"), [("AB", "MMBench"), ("A ", "MMBench_DEV_EN")])
def test_mmbench_with_all_official_answers_is_scored(
    env: dict[str, str], tmp_path: Path, answers: str, taken: str
) -> None:
    rows = [f"{index}\tpicture\twhat?\t{answer.strip()}" for index, answer in enumerate(answers)]
    (tmp_path / "MMBench.tsv").write_text("\n".join(["index\timage\tquestion\tanswer", *rows]))

    assert resolve(["--data", "MMBench"], env) == ["--data", taken]
