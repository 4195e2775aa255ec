"""Python from outside the image is refused by every answering command, or recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_model import MODEL, Bench

from vldock.image.entrypoints.VLMEvalKit import run as run_entrypoint

pytest_plugins = ["bench_fixture"]
pytestmark = pytest.mark.layout
RUN_PY = "/workspace/VLMEvalKit/run.py"
VLDOCK = ("-m", "vldock.image")
NOT_OURS = ("VLDOCK_ALLOW_PYTHON", "PYTHONPATH")


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a Python command in a user's environment, without the tests' own variables."""
    clean = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return subprocess.run(
        [sys.executable, *words], env=clean | env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_image_itself_is_not_foreign(tmp_path: Path) -> None:
    done = run(RUN_PY, "--help", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE"])
def test_run_py_refuses_a_variable_that_leads_outside(name: str, tmp_path: Path) -> None:
    done = run(RUN_PY, "--help", cwd=tmp_path, **{name: str(tmp_path)})

    assert done.returncode == 4
    assert f"{name}={tmp_path}" in done.stderr
    assert "VLDOCK_ALLOW_PYTHON=1" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--model", MODEL, "--data", "POPE", "--out", "out"),
        ("predict", "--image", "a.png", "What?"),
        ("session", "serve"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_answers_names_a_sitecustomize_from_outside(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").touch()

    done = run(*VLDOCK, *words, cwd=Path("/"), PYTHONPATH=str(tmp_path))

    assert done.returncode == 4, done.stderr
    assert f"sitecustomize of {tmp_path}/sitecustomize.py" in done.stderr


def test_a_command_imports_nothing_of_the_folder_it_is_typed_in(tmp_path: Path) -> None:
    (tmp_path / "PIL.py").write_text("raise SystemExit('imported')", encoding="utf-8")

    done = run(*VLDOCK, "predict", "--image", "a.png", "What?", cwd=tmp_path, VLDOCK_STANDIN="1")

    assert "imported" not in done.stderr
    assert "a.png" in done.stderr


def test_what_is_allowed_is_in_the_passport(bench: Bench) -> None:
    done = bench.run("--limit", "1")

    passport = json.loads((bench.out / f"{MODEL}_POPE_passport.json").read_text())
    assert done.returncode == 0, done.stderr
    assert passport["code"]["foreign_python"].startswith("PYTHONPATH=")


def test_an_allowed_one_goes_on_and_is_said(tmp_path: Path) -> None:
    done = run(run_entrypoint.__file__, "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path), VLDOCK_ALLOW_PYTHON="1")

    said = f"vldock: Python from outside the image, allowed and in the passport: PYTHONPATH={tmp_path}\n"
    assert (done.returncode, done.stderr) == (0, said)
