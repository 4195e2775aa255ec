"""run.py: arguments checked at once, everything else by VLMEvalKit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vldock.image import run_py

UPSTREAM = """
import torch_that_is_not_there

def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument('--data', nargs='+')
    parser.add_argument('--model', nargs='+')
    parser.add_argument('--config')
    parser.add_argument('--work-dir', default={default})
    return parser.parse_args()
"""


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A VLMEvalKit with a run.py that can be read but not imported."""
    package = tmp_path / "vlmeval"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "run.py").write_text(UPSTREAM.format(default="'./outputs'"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "vlmeval", raising=False)
    return package / "run.py"


@pytest.mark.usefixtures("upstream")
def test_help_is_answered_without_importing_vlmevalkit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_py.check_arguments(["--help"])

    assert end.value.code == 0
    assert "usage: run.py" in capsys.readouterr().out


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("argv", [["--modell", "x"], ["--model", "llava_v1.5_7b"], []])
def test_wrong_arguments_end_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_py.check_arguments(argv)

    assert end.value.code == 2


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("argv", [["--data", "POPE", "--model", "m"], ["--config", "c.json"]])
def test_right_arguments_pass(argv: list[str]) -> None:
    run_py.check_arguments(argv)


def test_a_parser_of_another_shape_is_left_to_the_real_run(upstream: Path) -> None:
    upstream.write_text(UPSTREAM.format(default="somewhere.default()"), encoding="utf-8")

    run_py.check_arguments(["--modell", "x"])


def test_without_vlmevalkit_it_says_where_to_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert run_py.main(["--help"]) == 3
    assert "hint: run it in the container" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "in_exec", "more", "hinted"),
    [(0, True, [], True), (1, True, [], True), (2, True, [], False), (0, False, [], False),
     (0, True, ["--no-worker"], False)],
)  # fmt: skip
@pytest.mark.usefixtures("upstream")
def test_a_run_in_a_container_that_lasts_names_the_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int, in_exec: bool, more: list[str],
    hinted: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(run_py, "_run_here", lambda argv: status)
    monkeypatch.setattr(run_py, "_is_exec", lambda: in_exec)
    monkeypatch.setattr(run_py, "check_arguments", lambda argv: None)

    assert run_py.main(["--data", "POPE", "--model", "m", *more]) == status
    assert ("`vldock session start`" in capsys.readouterr().err) == hinted
