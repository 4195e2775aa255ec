"""The command line: help, errors as lines, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from docker.errors import APIError
from support.builders import a_plan

import vldock
from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.host.cli import main as cli
from vldock.host.cli.main import COMMANDS, GROUPS, invoke
from vldock.host.cli.matrix import command as matrix_cli
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine.client import EngineStatus
from vldock.host.matrix.runner import utc_now
from vldock.host.runs import folder as run_folder

NAMES = [(name,) for name in COMMANDS] + [("engine", "up"), ("engine", "status")]
NAMES += [("session", name) for name in ("start", "ls", "status", "eval", "exec", "logs", "stop", "gc")]


@pytest.mark.parametrize("words", NAMES, ids=" ".join)
def test_every_command_has_help_with_examples(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(cli.cli, [*words, "--help"])

    text = capsys.readouterr().out
    assert code == 0
    assert "Examples:\n" in text
    assert f"  vldock {' '.join(words)}" in text


def test_the_top_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(cli.cli, ["--help"])

    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert "Exit codes:" in text


def test_every_command_is_in_exactly_one_group() -> None:
    grouped = [name for commands in GROUPS.values() for name in commands]

    assert list(GROUPS) == ["Set up", "Evaluate", "Inspect", "Train", "Ship"]
    assert sorted(grouped) == sorted(COMMANDS)


def test_a_command_stands_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(cli.cli, ["--help"])

    lines = capsys.readouterr().out.splitlines()
    inspect = lines[lines.index("Inspect:") + 1 : lines.index("Train:")]
    assert [line.split()[0] for line in inspect if line] == list(GROUPS["Inspect"])


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(cli.cli, ["--version"]) == 0
    assert vldock.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (EnvironmentUnfit, 3), (InputRefused, 4)], ids=lambda value: str(value)
)
def test_an_error_is_three_lines_and_its_own_exit_code(
    error: type[UsageError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def broken() -> None:
        raise error("it broke", expected="it whole", hint="mend it")

    assert invoke(broken, []) == code
    assert capsys.readouterr().err == "error: it broke\nexpected: it whole\nhint: mend it\n"


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied", "/outputs"), APIError("500", explanation="no space left on device")],
    ids=["a folder", "the engine"],
)
def test_an_error_nobody_foresaw_is_a_line_and_no_traceback(error: OSError, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def broken() -> None:
        raise error

    assert invoke(broken, []) == 3
    assert capsys.readouterr().err.startswith(("error: [Errno 13] Permission", "error: no space left on device"))


def test_ctrl_c_exits_130() -> None:
    @click.command()
    def stopped() -> None:
        raise KeyboardInterrupt

    assert invoke(stopped, []) == cli.INTERRUPTED


@pytest.fixture
def _fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        class images:  # noqa: N801
            @staticmethod
            def get(name: str) -> Any:
                return type("Image", (), {"id": a_plan().image_id, "attrs": {}})

        def close(self) -> None:
            pass

    monkeypatch.setattr(docker_client, "status", lambda: EngineStatus("unix:///x", True))
    monkeypatch.setattr(docker_client, "connect", lambda: Client())
    monkeypatch.delenv("LMUData", raising=False)
    monkeypatch.delenv("VLMEVAL_SAMPLE_LIMIT", raising=False)


WORDS = [
    "matrix",
    "--standin",
    "--gpus",
    "none",
    "--samples",
    "10",
    "--benchmarks",
    "POPE,MMStar,OCRBench",
    "--dry-run",
]


@pytest.mark.usefixtures("_fake_engine")
def test_a_dry_run_shows_the_docker_commands_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(cli.cli, [*WORDS, "--outputs", str(tmp_path / "outputs")]) == 0

    text = capsys.readouterr().out
    assert text.startswith("a new run: 6 cells, 0 kept")
    assert text.count("docker run") == 2
    assert list(tmp_path.rglob("run.json")) == []


@pytest.mark.usefixtures("_fake_engine")
def test_the_same_plan_goes_on_with_the_unfinished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = run_folder.create(tmp_path, a_plan(), now=utc_now())

    invoke(cli.cli, [*WORDS, "--outputs", str(tmp_path)])

    assert capsys.readouterr().out.startswith(f"continues {folder.name}")


@pytest.mark.usefixtures("_fake_engine")
@pytest.mark.parametrize("words", [["--fresh"], ["--samples", "3"]], ids=["--fresh", "another plan"])
def test_a_fresh_or_another_plan_starts_anew(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder.create(tmp_path, a_plan(), now=utc_now())

    invoke(cli.cli, [*WORDS, *words, "--outputs", str(tmp_path)])

    assert capsys.readouterr().out.startswith("a new run")


@pytest.mark.usefixtures("_fake_engine")
def test_resume_takes_no_option_of_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = run_folder.create(tmp_path, a_plan(), now=utc_now())

    assert invoke(cli.cli, ["matrix", "--resume", str(folder.path), "--samples", "3"]) == 2
    assert "--samples" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "ten", "1.5"])
def test_a_sample_number_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(matrix_cli.matrix_command, ["--samples", value]) == 2
    assert "whole number" in capsys.readouterr().err
