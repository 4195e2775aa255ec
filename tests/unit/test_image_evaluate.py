"""`python -m vldock.image evaluate`: what is wrong is told before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.image.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "llava_v1.5_7", "--data", "POPE"], "did you mean llava_v1.5_7b"),
        (["--model", "llava_v1.5_7b", "--data", "POPE", "pop"], "did you mean POPE"),
        (["--model", "llava_v1.5_7b", "--data", "POPE", "--limit", "0"], "--limit='0'"),
    ],
    ids=["model", "benchmark", "limit"],
)
def test_a_wrong_name_or_number_ends_with_2_and_a_hint(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments, "--out", str(tmp_path)]) == 2

    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_variable_is_the_default_of_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLMEVAL_SAMPLE_LIMIT", "ten")

    status = main(["evaluate", "--model", "llava_v1.5_7b", "--data", "POPE", "--out", str(tmp_path)])

    assert status == 2
    assert "VLMEVAL_SAMPLE_LIMIT='ten'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "evaluate", "version"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])

    assert end.value.code == 0
    assert "exit status" in capsys.readouterr().out
