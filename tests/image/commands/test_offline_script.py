"""test_hf_cache.py shows every step, exits with the error's code, and connects nowhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from conftest import FreshPython

from vldock.image.offline import show


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def test_the_script_shows_every_step_and_says_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert show.main(["--self-test"]) == 0

    said = capsys.readouterr().out
    assert [f"[{number}/6]" in said for number in range(1, 7)] == [True] * 6
    assert "train: 3 rows of label, text" in said
    assert said.endswith("PASS: training can read this data without a network\n")


def test_the_script_fails_with_the_error_s_own_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.main(["no/such", "--cache-dir", str(tmp_path)]) == 3

    said = capsys.readouterr()
    assert "nothing" in said.out
    assert "hint: once, in a container with a network" in said.err


@pytest.mark.parametrize("name", ["InternVL2-2B", "OpenGVLab/InternVL2-2B", "org/mine"])
def test_a_model_s_name_is_told_from_a_data_set_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(tmp_path))
    (tmp_path / "models--org--mine").mkdir()

    assert show.main([name, "--cache-dir", str(tmp_path)]) == 2
    assert f"{name} is a model's name, and this script reads data sets" in capsys.readouterr().err


def test_what_is_refused_is_noted() -> None:
    import socket

    with show.refuse_network() as noted, socket.socket() as connection:
        with pytest.raises((ConnectionRefusedError, RuntimeError)):
            connection.connect(("127.0.0.1", 9))
        with pytest.raises((ConnectionRefusedError, RuntimeError)):
            socket.gethostbyname("huggingface.co")

    assert all("socket." in event for event in noted)


@pytest.mark.layout
def test_the_scripts_are_in_the_workspace_and_one_can_be_imported(fresh_python: FreshPython, tmp_path: Path) -> None:
    done = fresh_python(
        "import setup_workspace_cache, huggingface_hub.constants as hub; print(hub.HF_HUB_CACHE)",
        environ={"WORKSPACE_ROOT": str(tmp_path)},
    )

    shown = subprocess.run(
        [sys.executable, "/workspace/scripts/test_hf_cache.py", "--help"], capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{tmp_path}/cache/huggingface/hub\n", "")
    assert shown.returncode == 0
