"""./run_437_llava_only.sh at the root: .env is taken, downloads are kept, its options can be replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

STUB = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout with the two scripts, and a `vldock` that prints its arguments."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    for name in ("run_437_llava_only.sh", "scripts/run_437_llava_only.sh"):
        shutil.copy2(ROOT / name, folder / name)
    write(folder / ".venv/bin/vldock", STUB)
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def run(clone: Path, *argv: str, cwd: Path | None = None, **env: str) -> tuple[str, str]:
    """Return what vldock was given, and what the script said."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env}
    script = clone / "run_437_llava_only.sh"
    done = subprocess.run([script, *argv], cwd=cwd or clone, env=clean, capture_output=True, text=True, check=True)
    return done.stdout.replace("\n", " "), done.stderr


def test_typed_alone_it_keeps_its_downloads_and_says_where(clone: Path) -> None:
    given, said = run(clone)

    assert given == (
        "matrix --models llava_v1.5_7b,llava_v1.5_13b --benchmarks all --samples 10 "
        f"--data {clone}/.vldock/LMUData --cache {clone}/.vldock/cache "
    )
    assert f"benchmarks: {clone}/.vldock/LMUData (kept" in said
    assert f"weights: {clone}/.vldock/cache (kept" in said
    assert (clone / ".vldock/cache").is_dir()


def test_it_takes_the_env_file_and_the_folder_of_tables(clone: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / ".env", "HF_TOKEN=x")

    given, said = run(clone, cwd=elsewhere, LMUData=str(tmp_path / "tables"))

    assert f"--env-file {elsewhere}/.env" in given
    assert f"--data {tmp_path}/tables" in given
    assert f"tokens: {elsewhere}/.env" in said


def test_typed_options_come_last_and_replace_its_own(clone: Path) -> None:
    write(clone / ".env", "HF_TOKEN=x")

    given, _ = run(clone, "--cache", "/c", "--data=/d", "--env-file", "/e", "--gpus", "none")

    assert given.endswith("--samples 10 --cache /c --data=/d --env-file /e --gpus none ")
    assert not (clone / ".vldock").exists()


def test_stand_ins_need_no_folders(clone: Path) -> None:
    given, said = run(clone, "--standin", SAMPLES="3")

    assert given.endswith("--samples 3 --standin ")
    assert said == ""


def test_a_run_is_resumed_by_its_own_plan(clone: Path) -> None:
    assert run(clone, "--resume", "outputs/x")[0] == "matrix --resume outputs/x "


def test_without_an_environment_it_makes_one(clone: Path) -> None:
    (clone / ".venv/bin/vldock").unlink()
    write(clone / "scripts/setup_host.sh", f"#!/bin/sh\ncp {clone}/stub {clone}/.venv/bin/vldock\n")
    write(clone / "stub", STUB)

    given, _ = run(clone, "--standin", PATH="/usr/bin:/bin")

    assert given.startswith("matrix ")
