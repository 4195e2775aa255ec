"""setup_workspace_cache.py as a script and as an import: what it prints, proves, and warns of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from vldock.common import workspace_cli
from vldock.common.filesystem.permissions import Identity

DOORS = [
    ROOT / "scripts/setup_workspace_cache.py",
    ROOT / "src/vldock/image/entrypoints/scripts/setup_workspace_cache.py",
]


def run(code: str, door: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path[:0] = [{str(door.parent)!r}, {str(ROOT / 'src')!r}]\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=["host", "image"])
def test_imported_first_it_decides_where_the_hub_library_writes(tmp_path: Path, door: Path) -> None:
    code = "import setup_workspace_cache, huggingface_hub.constants as hub; print(hub.HF_HUB_CACHE)"

    done = run(code, door, WORKSPACE_ROOT=str(tmp_path / "w"))

    assert (done.stdout, done.stderr) == (f"{tmp_path}/w/cache/huggingface/hub\n", "")


@pytest.mark.parametrize("door", DOORS, ids=["host", "image"])
def test_imported_last_it_says_that_it_is_too_late(tmp_path: Path, door: Path) -> None:
    done = run("import huggingface_hub, setup_workspace_cache", door, WORKSPACE_ROOT=str(tmp_path / "w"))

    assert done.returncode == 0
    assert "TooLate: too late for this process: huggingface_hub" in done.stderr


def test_it_needs_the_standard_library_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(DOORS[0]), str(tmp_path / "w")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"workspace {tmp_path}/w: cache/, models/")


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert workspace_cli.main(["--dry-run", str(tmp_path / "w")]) == 0

    assert list(tmp_path.iterdir()) == []
    assert f"export WORKSPACE_ROOT={tmp_path}/w" in capsys.readouterr().out


WRITES = "import os, pathlib; pathlib.Path(os.environ[{!r}], {!r}).mkdir(parents=True)"


@pytest.mark.parametrize(("where", "code"), [(("HF_HOME", "models"), 0), (("HOME", ".cache/torch"), 1)])
def test_what_is_written_outside_is_found(
    tmp_path: Path, where: tuple[str, str], code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-I", "-c", WRITES.format(*where)]

    seen = workspace_cli.main([str(tmp_path / "w"), "--", *command], {"HOME": str(home), "PATH": os.environ["PATH"]})

    said = capfd.readouterr()
    assert seen == code
    assert ("proved: nothing written outside" in said.out) is (code == 0)
    assert (f"{home}/.cache/torch" in said.err) is (code == 1)


def test_the_command_s_own_failure_is_passed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-c", "raise SystemExit(7)"]

    assert workspace_cli.main([str(tmp_path), "--prove", "--", *command], {"HOME": str(tmp_path)}) == 7


def test_a_new_file_s_owner_is_told_by_uid(tmp_path: Path) -> None:
    from vldock.common.filesystem.permission_hints import mkdir_command

    assert mkdir_command(tmp_path / "new", Identity(5, 6, None)) == f"sudo install -d -o 5 -g 6 {tmp_path}/new"
