"""Variables of .env files: the container's own first, a file that is missing or no file at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.image.vlmeval_hooks.process import env_file


def test_env_files_fill_in_what_is_not_set_the_nearer_one_first(tmp_path: Path) -> None:
    near, far = tmp_path / "near.env", tmp_path / "far.env"
    near.write_text("A=near\nB=near\nHUGGING_FACE_HUB_TOKEN=hf_x\n")
    far.write_text("B=far\nC=far\n")
    env = {"A": "docker", "C": ""}

    env_file.load([near, far], env)

    assert env == {"A": "docker", "B": "near", "C": "far", "HUGGING_FACE_HUB_TOKEN": "hf_x", "HF_TOKEN": "hf_x"}


def test_an_env_file_that_is_missing_is_no_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file.load([tmp_path / ".env"], {})

    assert capsys.readouterr() == ("", "")


def test_an_env_folder_is_one_warning_with_the_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").mkdir()

    for _ in range(2):
        env_file.load([tmp_path / ".env"], {})

    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "docker makes one where the host file of -v is missing" in printed
