"""setup_workspace_cache.py: one root, and files that bash and docker both read, whatever the path."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

import pytest
from docker.utils import parse_env_file
from support.paths import ROOT

from vldock.common import env_files, workspace
from vldock.common.cache_env import CACHE_ENV
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.common.workspace import FOLDERS, variables

HARD = {
    "plain": "plain",
    "spaces": "a b  c",
    "single quote": "it's",
    "double quote": 'say "hi"',
    "dollar": "$HOME ${PATH} $(id)",
    "backslash and backtick": "a\\n`id`",
    "unicode": "데이터 é 🌱",
    "hash and equals": "a #b=c;d&e|f",
    "glob": "*[a]?",
}
# the documented values of a workspace
DOCUMENTED = {
    "WORKSPACE_ROOT": "",
    "HF_HOME": "/cache/huggingface",
    "HUGGINGFACE_HUB_CACHE": "/cache/huggingface/hub",
    "TRANSFORMERS_CACHE": "/cache/huggingface/transformers",
    "TORCH_HOME": "/cache/torch",
    "HF_DATASETS_CACHE": "/cache/datasets",
    "PIP_CACHE_DIR": "/cache/pip",
    "XDG_CACHE_HOME": "/cache",
}
TREE = (
    "cache/huggingface/hub", "cache/huggingface/transformers", "cache/torch", "cache/datasets", "cache/pip", "models",
    "weights", "data", "checkpoints",
)  # fmt: skip

hard_paths = pytest.mark.parametrize("name", HARD.values(), ids=HARD)


def as_docker_reads(path: Path) -> dict[str, str]:
    """Read an env file by docker's own rules.

    Blanks before a line, `#`, the first `=`, nothing else.
    """
    lines = [line.lstrip() for line in path.read_text(encoding="utf-8").split("\n")]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    assert not [name for name, _, _ in pairs if any(letter.isspace() for letter in name)]
    return {name: value for name, equals, value in pairs if equals}


def as_bash_reads(path: Path) -> dict[str, str]:
    done = subprocess.run(
        ["bash", "-euc", 'source "$1"; exec env -0', "-", str(path)], env={"PATH": os.environ["PATH"]},
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)


@hard_paths
def test_all_folders_and_both_files_are_made(tmp_path: Path, name: str) -> None:
    made = workspace.make(tmp_path / name)

    assert {path.name for path in made.root.iterdir()} == {*FOLDERS, ".env", "setup_env.sh"}


@hard_paths
def test_docker_reads_every_value_of_the_env_file_raw(tmp_path: Path, name: str) -> None:
    made = workspace.make(tmp_path / name)

    wanted = variables(made.root)
    assert {key: value for key, value in as_docker_reads(made.env_file).items() if key in wanted} == wanted
    assert wanted.items() <= parse_env_file(str(made.env_file)).items()


@hard_paths
@pytest.mark.parametrize("file", ["env_file", "setup_file"])
def test_bash_exports_every_value_of_either_file(tmp_path: Path, name: str, file: str) -> None:
    made = workspace.make(tmp_path / name)

    assert variables(made.root).items() <= as_bash_reads(getattr(made, file)).items()


@pytest.mark.parametrize("name", ["two\nlines", "tab\there", "return\r", "end ", "\udcff"], ids=ascii)
def test_a_path_no_env_file_can_carry_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        workspace.make(tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_all_caches_are_inside_and_home_is_not_moved(tmp_path: Path) -> None:
    values = variables(tmp_path)

    assert all(Path(value).is_relative_to(tmp_path / "cache") for name, value in values.items() if name in CACHE_ENV)
    assert {name: values[name] for name in DOCUMENTED} == {name: f"{tmp_path}{at}" for name, at in DOCUMENTED.items()}
    assert "HOME" not in values


def test_the_documented_tree_is_made(tmp_path: Path) -> None:
    workspace.make(tmp_path)

    assert [place for place in TREE if not (tmp_path / place).is_dir()] == []


def test_a_workspace_of_the_flat_layout_keeps_its_files_in_sight(tmp_path: Path) -> None:
    (tmp_path / "cache/huggingface/models--o--n").mkdir(parents=True)
    (tmp_path / "cache/huggingface/datasets/o___d").mkdir(parents=True)

    workspace.make(tmp_path)

    assert (tmp_path / "cache/huggingface/hub/models--o--n").is_dir()
    assert (tmp_path / "cache/datasets/o___d").is_dir()


def test_in_the_image_the_root_is_workspace_and_on_a_host_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    roots = [workspace.find_root({}), workspace.find_root({"WORKSPACE_ROOT": "/w"})]
    monkeypatch.setattr(workspace, "BUILD_FACTS", __file__)

    assert [*roots, workspace.find_root({})] == [tmp_path, Path("/w"), Path("/workspace")]


def test_in_the_image_no_sudo_is_advised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "BUILD_FACTS", __file__)
    monkeypatch.setattr(env_files, "write", Mock(side_effect=PermissionError(13, "denied")))

    with pytest.raises(EnvironmentUnfit) as caught:
        workspace.make(tmp_path)

    assert 'start with -v "$PWD/ws:/ws" -e WORKSPACE_ROOT=/ws' in str(caught.value.hint)


def test_where_only_the_caches_can_be_written_they_are_used_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env_files, "write", Mock(side_effect=PermissionError(13, "denied")))
    environ: dict[str, str] = {}

    said = workspace.activate(environ, root=tmp_path, loaded=[]).warning()

    assert "cannot be written" in (said or "")
    assert environ["HF_HOME"] == f"{tmp_path}/cache/huggingface"


def test_a_token_in_the_env_file_is_kept_and_read_and_stays_private(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=secret", encoding="utf-8")
    (tmp_path / ".env").chmod(0o640)

    for _ in range(2):
        made = workspace.make(tmp_path)

    assert as_docker_reads(made.env_file)["HF_TOKEN"] == "secret"
    assert made.env_file.read_text(encoding="utf-8").count(env_files.BEGIN) == 1
    assert stat.S_IMODE(made.env_file.stat().st_mode) == 0o640


def test_a_new_env_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(workspace.make(tmp_path).env_file.stat().st_mode) == 0o600


def test_lines_below_our_block_are_kept_too(tmp_path: Path) -> None:
    made = workspace.make(tmp_path)
    made.env_file.write_text(made.env_file.read_text() + "OPENAI_API_KEY=k\n")

    workspace.make(tmp_path)

    assert as_bash_reads(made.env_file).keys() >= {"HF_HOME"}
    assert as_docker_reads(made.env_file)["OPENAI_API_KEY"] == "k"


def test_a_root_that_cannot_be_made_is_told_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EnvironmentUnfit) as caught:
        workspace.make(tmp_path / "file" / "root")

    assert caught.value.hint is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_s_folder_is_told_with_the_command_that_gives_it() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders let nobody else in
        Path(folder).chmod(0o755)
        code = f"""
import os, sys; sys.path.insert(0, {str(ROOT / "src")!r})
from vldock.common import workspace_cli
os.setgid(54321); os.setuid(54321)
sys.exit(workspace_cli.main([{folder!r}]))
"""

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()[-1]) == (3, f"hint: sudo chown -R 54321:54321 {folder}")


def test_too_late_is_said_only_where_something_changed(tmp_path: Path) -> None:
    environ: dict[str, str] = {}

    first = workspace.activate(environ, root=tmp_path, loaded=["transformers", "os"])
    second = workspace.activate(environ, root=tmp_path, loaded=["transformers", "os"])

    assert (first.too_late, second.too_late) == (("transformers",), ())
    assert "too late" in (first.warning() or "")
    assert second.warning() is None
