"""run.py with a model of remote code: what was edited is never continued."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import remote_code_model
import remote_code_repo
from remote_code_repo import REPO, TOKENS
from tiny_model import LLAVA_ROOT, VLMEVAL_ROOT, Bench, python_path, write_pope

from vldock.common import passport

MODEL = "cogvlm-chat"


class Runs:
    """Runs of run.py on one output folder, and the model's and the tokenizer's snapshots."""

    def __init__(self, root: Path) -> None:
        self.bench = Bench(root, root / "cache")
        self.bench.lmu.mkdir()
        write_pope(self.bench, 2)
        self.model = remote_code_repo.write(root / "cache")
        self.tokens = remote_code_repo.write(root / "cache", TOKENS, {"tokenizer_config.json": "{}"})
        remote_code_repo.write_weights(self.model)

    def run(self, accept: str = REPO) -> subprocess.CompletedProcess[str]:
        """Evaluate POPE; `accept` is VLDOCK_ACCEPT_REMOTE_CODE."""
        here = Path(remote_code_model.__file__).parent
        paths = python_path(VLMEVAL_ROOT, LLAVA_ROOT, here)
        env = self.bench.env(VLDOCK_ACCEPT_REMOTE_CODE=accept, PYTHONPATH=paths, VLDOCK_ALLOW_PYTHON="1")
        command = [sys.executable, remote_code_model.__file__, "--data", "POPE", "--model", MODEL]
        return subprocess.run(command, env=env, cwd=self.bench.root, capture_output=True, text=True, check=False)

    def passport(self) -> dict[str, object]:
        return passport.load(self.bench.root / "out" / MODEL / f"{MODEL}_POPE_passport.json")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_an_edited_tokenizer_repository_is_set_aside_and_both_stand_in_the_passport(runs: Runs) -> None:
    assert runs.run().returncode == 0
    before = runs.passport()
    (runs.tokens / "tokenizer_config.json").write_text('{"add_bos_token": false}')

    done = runs.run()

    assert f"SET ASIDE {MODEL} x POPE: model.weights of {TOKENS} was" in done.stdout
    fields = {one.field for one in passport.differences(before, runs.passport())}
    assert f"other_repositories.{TOKENS}.files.tokenizer_config.json" in fields


def test_edited_remote_code_is_refused_before_a_file_is_moved(runs: Runs) -> None:
    assert runs.run().returncode == 0
    code = runs.passport()["code"]["remote_code"][REPO]
    (runs.model / "letters.py").write_text('WORD = "TAMPERED"\n')

    done = runs.run(f"{REPO}@{code['sha256']}")

    assert done.returncode == 1
    assert f"unknown remote code in {REPO}" in done.stderr
    assert "SET ASIDE" not in done.stdout
    assert "TAMPERED" not in done.stdout


def test_answers_of_accepted_code_are_not_continued_without_its_acceptance(runs: Runs) -> None:
    assert runs.run().returncode == 0

    done = runs.run("")

    assert done.returncode == 1
    assert f"unknown remote code in {REPO}" in done.stderr
