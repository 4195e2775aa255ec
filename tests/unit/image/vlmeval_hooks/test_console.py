"""Messages of a patched run: names, judges, causes, one line for each cell."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from vldock.common.errors import InputRefused
from vldock.image.vlmeval_hooks.models import build as model_build
from vldock.image.vlmeval_hooks.process import error_lines, redact
from vldock.image.vlmeval_hooks.run import console, judge, unknown_names
from vldock.image.vlmeval_hooks.run.cell_outcomes import CellOutcome


def test_an_error_without_a_message_tells_its_place() -> None:
    try:
        raise AssertionError
    except AssertionError as error:
        line = error_lines.one_line(error)

    assert line.startswith("AssertionError: at ")
    assert "raise AssertionError" in line


def test_a_cause_is_one_line_with_the_hint() -> None:
    line = error_lines.one_line(InputRefused("a.tsv has\nmd5 1", expected="md5 2", hint="move it"))

    assert line == "a.tsv has md5 1; expected md5 2; move it"


def test_files_missing_from_the_cache_are_not_blamed_on_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", "/cache")

    class LocalEntryNotFoundError(Exception):
        pass

    error = OSError("We couldn't connect to the Hub. Check your internet connection")
    error.__cause__ = LocalEntryNotFoundError("x")

    assert error_lines.one_line(error).startswith("not in /cache and HF_HUB_OFFLINE=1: mount a cache")
    assert "internet connection" not in error_lines.one_line(error)


def test_the_console_shows_no_traceback_and_the_file_does(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logger, on_screen, on_disk = logging.Logger("x"), logging.StreamHandler(), logging.FileHandler(tmp_path / "log")
    on_screen.setFormatter(error_lines.ConsoleFormatter("%(message)s"))
    logger.addHandler(on_screen)
    logger.addHandler(on_disk)

    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("failed")
    on_disk.close()

    assert capsys.readouterr().err == "failed\n"
    assert "Traceback" in (tmp_path / "log").read_text()


def test_unknown_names_come_with_close_ones_whatever_their_case() -> None:
    lines = unknown_names.describe_unknown(
        "benchmark", ["mmstr", "POPE", "zzz"], ["MMStar", "POPE"], listing="vlmutil dlist all"
    )

    assert lines == [
        "unknown benchmark 'mmstr': did you mean MMStar?",
        "unknown benchmark 'zzz': list them with: vlmutil dlist all",
    ]


@pytest.mark.parametrize(
    ("judge_name", "env", "can"),
    [
        ("exact_matching", {}, True),
        ("gpt-4o-mini", {}, False),
        ("gpt-4o-mini", {"OPENAI_API_KEY": "k"}, True),
        ("gpt-4o-mini", {"OPENAI_API_BASE": "http://here/v1"}, True),
        ("qwen-72b", {"OPENAI_API_KEY": "k"}, False),
        ("qwen-72b", {"SiliconFlow_API_KEY": "k"}, True),
    ],
)
def test_a_judge_can_be_asked_with_its_own_key_only(judge_name: str, env: dict[str, str], can: bool) -> None:
    assert judge.has_key(judge_name, {}, env) is can


def test_a_default_judge_without_a_key_becomes_exact_matching_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(judge, "_printed", set())

    for _ in range(2):
        settled = judge.choose({"model": "gpt-4o-mini"}, requested=None, benchmark="POPE", kind="Y/N")

    assert settled == {"model": "exact_matching"}
    assert (
        capsys.readouterr().out == "judge: exact_matching, because no OPENAI_API_KEY is set for the judge gpt-4o-mini\n"
    )


def test_a_default_judge_that_does_not_answer_becomes_exact_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr(judge, "_answers", lambda _: False)

    assert (
        judge.choose({"model": "gpt-4o-mini"}, requested=None, benchmark="POPE", kind="Y/N")["model"]
        == "exact_matching"
    )


def test_a_judge_asked_for_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr(judge, "_answers", lambda _: False)

    with pytest.raises(InputRefused, match="does not answer"):
        judge.choose({"model": "gpt-4o"}, requested="gpt-4o", benchmark="POPE", kind="Y/N")


def test_a_benchmark_that_needs_a_judge_is_refused_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(InputRefused, match="MathVista"):
        judge.choose({"model": "gpt-4o-mini"}, requested=None, benchmark="MathVista_MINI", kind="VQA")


def test_a_model_that_failed_to_load_is_not_loaded_again() -> None:
    calls: list[int] = []

    def load() -> None:
        calls.append(1)
        raise RuntimeError("no memory")

    model_build.forget_failures()
    for _ in range(2):
        with pytest.raises(model_build.ModelLoadError, match="llava could not be loaded: RuntimeError: no memory"):
            model_build.build({"llava": load}, "llava", {})
    assert len(calls) == 1


def test_scores_go_to_stdout_failures_to_stderr_and_one_failure_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    good = CellOutcome("m", "POPE", metrics={"Overall": 86.1}, samples=10, predictions=10, judge="exact_matching")
    bad = CellOutcome("m", "MMStar", error="the evaluation\nreported no metric")

    code = console.report([good, bad])

    printed = capsys.readouterr()
    assert code == 1
    assert printed.out == "SCORE m x POPE: Overall = 86.1 (10 samples, judge exact_matching)\n"
    assert printed.err == "FAILED m x MMStar: the evaluation reported no metric\n"


def test_every_score_of_a_stand_in_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VLDOCK_STANDIN", "1")

    assert console.report([CellOutcome("m", "POPE", metrics={"Overall": 1.0}, samples=3, predictions=3)]) == 0

    score, note = capsys.readouterr().out.splitlines()
    assert score.endswith("[STAND-IN]")
    assert note.startswith("STAND-IN: ")


@pytest.mark.parametrize(
    "words",
    [["--judge-key", "sk-1"], ["--judge-key=sk-1"], ["--key", "sk-1"], ["--judge-args", '{"key": "sk-1", "n": 1}']],
    ids=lambda words: words[0],
)
def test_a_command_line_is_kept_without_its_keys(words: list[str]) -> None:
    shown = " ".join(redact.argv(["run.py", *words, "--data", "POPE"]))

    assert "sk-1" not in shown
    assert "***" in shown
    assert shown.endswith("--data POPE")
