"""Variables of .env files: the container's own first, a file that is missing or no file at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common.image_paths import TOKEN_VARIABLES
from vldock.image.process import env_file


def test_env_files_fill_in_what_is_not_set_the_nearer_one_first(tmp_path: Path) -> None:
    near, far = tmp_path / "near.env", tmp_path / "far.env"
    near.write_text("A=near\nB=near\nHUGGING_FACE_HUB_TOKEN=hf_x\n")
    far.write_text("B=far\nC=far\n")
    env = {"A": "docker", "C": ""}

    env_file.load([near, far], env)

    assert env == {"A": "docker", "B": "near", "C": "far", "HUGGING_FACE_HUB_TOKEN": "hf_x", "HF_TOKEN": "hf_x"}


@pytest.mark.parametrize("name", TOKEN_VARIABLES)
def test_a_token_under_any_of_its_names_is_the_one_huggingface_hub_reads(name: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{name}=hf_x\n")
    env: dict[str, str] = {}

    env_file.load([tmp_path / ".env"], env)

    assert env == {name: "hf_x", "HF_TOKEN": "hf_x"}


@pytest.mark.parametrize("name", TOKEN_VARIABLES)
def test_a_token_of_the_container_under_any_name_comes_before_the_files(name: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=hf_of_the_file\n")
    env = {name: "hf_of_docker"}

    env_file.load([tmp_path / ".env"], env)

    assert env["HF_TOKEN"] == "hf_of_docker"


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
