"""workspace_train.py: the workspace is set before the trainer is imported.

The trainer's exit status is passed on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from vldock.image.training import workspace_entry


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Trainer that records its arguments and ends with 7."""
    calls: list[list[str]] = []
    package, module = ModuleType("vldock.image.training"), ModuleType("vldock.image.training.cli")

    def main(argv: list[str]) -> int:
        calls.append(argv)
        return 7

    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vldock.image.training", package)
    monkeypatch.setitem(sys.modules, "vldock.image.training.cli", module)
    return calls


def test_a_workspace_is_made_and_set_before_training(trainer: list[list[str]], tmp_path: Path) -> None:
    environ = {"WORKSPACE_ROOT": str(tmp_path / "ws")}

    status = workspace_entry.main(["--config", "x.yaml"], environ)

    assert (status, trainer) == (7, [["--config", "x.yaml"]])
    assert environ["HF_HOME"] == str(tmp_path / "ws/cache/huggingface")
    assert {"data", "checkpoints"} <= {path.name for path in (tmp_path / "ws").iterdir()}


def test_without_one_the_images_own_caches_stay(trainer: list[list[str]]) -> None:
    environ = {"HF_HOME": "/workspace/.cache/huggingface"}

    workspace_entry.main([], environ)

    assert trainer == [[]]
    assert environ == {"HF_HOME": "/workspace/.cache/huggingface", "WORKSPACE_ROOT": "/workspace"}


def test_a_root_that_cannot_be_written_is_told_and_nothing_is_trained(
    trainer: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert workspace_entry.main([], {"WORKSPACE_ROOT": str(tmp_path / "file")}) == 3
    assert "hint:" in capsys.readouterr().err
    assert trainer == []
