"""scripts/start_validation.sh: the cache's data set, then the preflight, then the command to type."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

VLDOCK = """#!/bin/sh
echo "vldock $*" >> {log}
case "$*" in *--print-config*) echo "data: {{name: org/mine}}" ;; *--check*) exit {check} ;; esac
"""
DOCKER = """#!/bin/sh
echo "docker $* < $(cat)" >> {log}
exit {test}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a checkout whose `vldock` and `docker` note what they are given."""
    for folder in ("scripts", ".venv/bin", "cache dir"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/start_validation.sh", tmp_path / "scripts")
    return tmp_path


def run(checkout: Path, *words: str, test: int = 0, check: int = 0) -> tuple[int, str, list[str]]:
    """Return the exit code, what was printed and the commands run; `test` and `check` are the steps' exit codes."""
    log = checkout / "log"
    for name, text in ((".venv/bin/vldock", VLDOCK), ("docker", DOCKER)):
        (checkout / name).write_text(text.format(log=log, test=test, check=check), encoding="utf-8")
        (checkout / name).chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts/start_validation.sh", *words], env={"PATH": f"{checkout}:/usr/bin:/bin"},
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, log.read_text(encoding="utf-8").splitlines()


def test_both_steps_get_the_training_s_arguments_and_the_command_is_said(checkout: Path) -> None:
    code, said, ran = run(checkout, "--cache", "cache dir", "train.epochs=3")

    assert code == 0
    assert ran[0] == "vldock train --print-config --cache cache dir train.epochs=3"
    assert f"-v {checkout}/cache dir:/workspace/.cache vldock:4.37 python /workspace/test_hf_cache.py" in ran[1]
    assert ran[1].endswith("--training - < data: {name: org/mine}")
    assert ran[2] == "vldock train --check --cache cache dir train.epochs=3"
    assert said.endswith(f"{checkout}/.venv/bin/vldock train '--cache' 'cache dir' 'train.epochs=3'\n")


@pytest.mark.parametrize(("codes", "code", "steps"), [({"test": 3}, 3, 2), ({"check": 4}, 4, 3)], ids=["test", "check"])
def test_a_step_that_fails_ends_it_with_its_exit_code(
    checkout: Path, codes: dict[str, int], code: int, steps: int
) -> None:
    ended, said, ran = run(checkout, "--image=mine", **codes)

    assert (ended, len(ran)) == (code, steps)
    assert "To train" not in said
    assert " mine python " in ran[1]
