"""test_hf_cache.py shows every step, exits with the error's code, and connects nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cached_plants import NAME
from conftest import FreshPython

from vldock.image.offline import show

pytest_plugins = ["offline_fixture"]


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
    assert (
        "hint: on the host: vldock fetch datasets no/such --cache FOLDER; or once, in a container with a network"
        in said.err
    )


@pytest.fixture
def home(tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HF_HOME of a person's, with the snapshot of NAME in hub/ and nothing else."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


def test_without_a_name_the_only_data_set_is_found_and_read_up_to_a_loader_s_batches(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main(["--batch-size", "2"]) == 0

    said = capsys.readouterr().out.splitlines()
    lines = [
        "🧪 Testing HuggingFace Cache Setup",
        f"✅ HF_HOME exists: {home}",
        f"✅ Found {NAME} cache: {home}/hub/datasets--org--Plants",
        "📂 Loading from offline cache (no Hub connection)",
        "✅ Created train loader: 2 batches",
        "✅ ALL TESTS PASSED!",
    ]
    assert [line for line in said if line in lines] == lines


def test_a_copy_is_declined_and_the_batches_of_the_stream_are_counted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main(["--no-copy", "--batch-size", "2"]) == 0

    assert (
        "Created train loader: 2 batches\n      split train, batch size 2: the first 2 read" in capsys.readouterr().out
    )
    assert not (home / "datasets").exists()


def test_ctrl_c_ends_a_copy_and_leaves_no_part_of_it(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets.packaged_modules.parquet.parquet import Parquet

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Parquet, "_generate_tables", stop)

    assert show.main([]) == 130
    assert capsys.readouterr().err.endswith("stopped; no part of a copy is left\n")
    assert [path for path in (home / "datasets").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.layout
@pytest.mark.parametrize("name", ["test_hf_cache.py", "start_validation.sh"])
def test_a_script_has_a_door_where_the_document_types_it(name: str) -> None:
    run = [sys.executable] if name.endswith(".py") else []

    shown = [
        subprocess.run([*run, f"/workspace/{folder}{name}", "--help"], capture_output=True, check=True)
        for folder in ("", "scripts/")
    ]

    assert shown[0].stdout == shown[1].stdout != b""


def test_of_several_data_sets_training_s_own_is_taken_else_all_are_listed_with_the_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home / "hub/datasets--org--Plants", home / "hub/datasets--org--Trees", symlinks=True)

    listed = show.main([], configured="nelorth/oxford-flowers"), capsys.readouterr().err
    own = show.main([], configured="org/Trees"), capsys.readouterr().out
    every = show.main(["--all"]), capsys.readouterr().out

    assert listed[0] == 2
    assert "python test_hf_cache.py org/Plants\n      python test_hf_cache.py org/Trees" in listed[1]
    assert (own[0], "Found org/Trees" in own[1], "Found org/Plants" in own[1]) == (0, True, False)
    assert (every[0], every[1].count("Created train loader")) == (0, 2)


def test_an_empty_cache_is_told_with_the_folders_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "absent"))

    assert show.main([], configured=NAME) == 3

    said = capsys.readouterr()
    assert f"HF_HOME does not exist: {tmp_path}/absent" in said.out
    assert f"datasets--ORG--NAME in {tmp_path}/absent/hub" in said.err
    assert f'load_dataset("{NAME}")' in said.err


def test_the_data_set_of_a_training_s_file_is_the_one_tested(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, other = home / "ours.yaml", home / "other.yaml"
    ours.write_text(f"data: {{source: hub, name: {NAME}}}\n", encoding="utf-8")
    other.write_text("data: {source: json, path: a.json}\n", encoding="utf-8")

    assert [show.main(["--training", str(file)]) for file in (ours, other)] == [0, 0]

    said = capsys.readouterr().out
    assert said.count(f"Found {NAME} cache") == 1
    assert said.endswith(
        "training reads data.source=json data.path=a.json, and no data set of the cache: nothing to test there\n"
    )


def test_marks_are_left_out_where_the_terminal_has_none() -> None:
    command = [sys.executable, "-c", "from vldock.image.offline.show import main; main(['--self-test'])"]

    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False)

    assert done.stdout.startswith(b"Testing HuggingFace Cache Setup\n")
    assert done.stdout.endswith(b"ALL TESTS PASSED!\nPASS: training can read this data without a network\n")


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
