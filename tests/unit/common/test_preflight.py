"""User and writable folders, settled before anything heavy is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vldock.common import preflight
from vldock.common.cache_env import CACHE_ENV, CACHE_ROOT
from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem.permissions import Identity

SCRIPT = Path(preflight.__file__)
STRANGER = Identity(os.geteuid(), os.getegid(), None)
NOWHERE = "/dev/null/nowhere"  # below a file: not even root can make a folder there


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose caches, data and outputs can all be written."""
    caches = {name: str(tmp_path / "caches") + value.removeprefix(CACHE_ROOT) for name, value in CACHE_ENV.items()}
    (tmp_path / "tmp").mkdir()
    folders = {"LMUData": str(tmp_path / "data"), "VLDOCK_OUTPUTS": str(tmp_path / "outputs")}
    return {**caches, **folders, "TMPDIR": str(tmp_path / "tmp"), "USER": "me", "LOGNAME": "me"}


def prepare(environ: dict[str, str], **options: tuple[str, ...]) -> preflight.Preparation:
    return preflight.prepare(environ, who=STRANGER, **{"env_files": (), **options})


def test_where_all_can_be_written_nothing_moves_and_nothing_is_said(environ: dict[str, str]) -> None:
    plan = prepare(environ)

    assert plan.notes == []
    assert plan.env == {"VLDOCK_OUTPUTS": environ["VLDOCK_OUTPUTS"], "VLDOCK_HF_HOME": environ["HF_HOME"]}


def test_a_user_unknown_to_the_system_gets_a_name(environ: dict[str, str]) -> None:
    del environ["USER"]
    environ["LOGNAME"] = ""

    plan = prepare(environ)

    assert plan.env["USER"] == plan.env["LOGNAME"] == f"uid{STRANGER.uid}"


def test_only_the_caches_that_cannot_be_written_move(environ: dict[str, str]) -> None:
    environ["TORCH_HOME"] = NOWHERE

    plan = prepare(environ)

    moved = {name for name in plan.env if name in CACHE_ENV}
    assert moved == {"TORCH_HOME"}
    assert plan.env["TORCH_HOME"] == f"{environ['TMPDIR']}/vldock-cache-{STRANGER.uid}/torch"
    assert len(plan.notes) == 1


def test_a_model_cache_that_can_be_read_stays(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Path(environ["HF_HOME"])
    (hub / "models--liuhaotian--llava-v1.5-7b").mkdir(parents=True)
    monkeypatch.setattr(preflight, "can_write", lambda path: path != hub)

    plan = prepare(environ)

    assert not {"HF_HOME", "TRANSFORMERS_CACHE", "HUGGINGFACE_HUB_CACHE"} & plan.env.keys()


def test_an_empty_model_cache_that_cannot_be_written_moves(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Path(environ["HF_HOME"])
    hub.mkdir(parents=True)
    monkeypatch.setattr(preflight, "can_write", lambda path: path != hub)

    plan = prepare(environ)

    assert {"HF_HOME", "TRANSFORMERS_CACHE", "HUGGINGFACE_HUB_CACHE"} <= plan.env.keys()


@pytest.mark.parametrize(("held", "stays"), [("prompt-free", True), (None, False)], ids=["features", "nothing"])
def test_a_feature_cache_that_can_only_be_read_stays_where_it_holds_features(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, held: str | None, stays: bool
) -> None:
    features = Path(environ["VLDOCK_FEATURES"])
    features.joinpath(held or "").mkdir(parents=True)
    monkeypatch.setattr(preflight, "can_write", lambda path: path != features)

    plan = prepare(environ)

    assert ("VLDOCK_FEATURES" not in plan.env) is stays


def test_lost_results_are_announced_with_the_mount_that_keeps_them(environ: dict[str, str]) -> None:
    environ["VLDOCK_OUTPUTS"] = NOWHERE

    plan = prepare(environ)

    assert plan.env["VLDOCK_OUTPUTS"] == f"{environ['TMPDIR']}/vldock-outputs-{STRANGER.uid}"
    assert "lost with the container" in plan.notes[0]
    assert f":{NOWHERE}" in plan.notes[0]


def test_read_only_data_gets_a_writable_face(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "POPE.tsv").write_text("rows", encoding="utf-8")
    monkeypatch.setattr(preflight, "make_writable", lambda path: path != data)

    plan = prepare(environ)

    assert Path(plan.env["LMUData"], "POPE.tsv").read_text(encoding="utf-8") == "rows"


def test_stand_ins_bring_their_own_data(environ: dict[str, str]) -> None:
    environ |= {"LMUData": NOWHERE, "VLDOCK_STANDIN": "1"}

    assert "LMUData" not in prepare(environ).env


def test_an_env_file_that_docker_made_a_folder_is_told_with_its_cure(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    (note,) = prepare(environ, env_files=(str(tmp_path / ".env"),)).notes

    assert "is a folder" in note
    assert "rmdir .env && touch .env" in note


def test_a_missing_env_file_is_nothing_to_tell(environ: dict[str, str], tmp_path: Path) -> None:
    assert prepare(environ, env_files=(str(tmp_path / ".env"),)).notes == []


def test_somebody_else_s_folder_in_tmp_is_refused(environ: dict[str, str]) -> None:
    """A shared /tmp: whoever made the folder first could read or plant files there."""
    environ["TORCH_HOME"] = NOWHERE
    aside = Path(environ["TMPDIR"], f"vldock-cache-{STRANGER.uid}")
    aside.symlink_to("/")

    with pytest.raises(EnvironmentUnfit, match="belongs to uid"):
        prepare(environ)


def shell(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = f'eval "$({sys.executable} -I -S {SCRIPT} --shell)"; echo "$LMUData|$VLDOCK_OUTPUTS|$USER"'
    return subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, check=True)


def test_the_shell_gets_what_was_decided(environ: dict[str, str]) -> None:
    environ |= {"VLDOCK_OUTPUTS": environ["TMPDIR"] + "/it's here", "PATH": os.environ["PATH"]}

    done = shell(environ)

    assert done.stdout.strip() == f"{environ['LMUData']}|{environ['VLDOCK_OUTPUTS']}|me"
    assert done.stderr == ""


def test_it_imports_nothing_slow(environ: dict[str, str]) -> None:
    """The entrypoint runs it at every start; a dataclass alone would cost 25 ms."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", str(SCRIPT), "--shell"]

    said = subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stderr

    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "vldock.common.preflight" in imported or "vldock.common.filesystem.permissions" in imported
    assert not imported & {"dataclasses", "inspect", "json", "subprocess", "logging", "argparse", "socket", "tempfile"}


def test_another_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_shut_model_cache_stays_and_is_told_with_what_opens_it(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Path(environ["HF_HOME"])
    hub.mkdir(parents=True)
    monkeypatch.setattr(preflight, "can_write", lambda path: path != hub)
    monkeypatch.setattr(preflight, "is_unreadable", lambda path: path == hub)

    plan = prepare(environ)

    assert "HF_HOME" not in plan.env
    assert "cannot read it. hint: on the host, chmod -R a+rX" in "".join(plan.notes)


def test_shut_data_gets_no_empty_face(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(environ["LMUData"])
    data.mkdir()
    monkeypatch.setattr(preflight, "make_writable", lambda path: path != data)
    monkeypatch.setattr(preflight, "is_unreadable", lambda path: path == data)

    plan = prepare(environ)

    assert "LMUData" not in plan.env
    assert "chmod -R a+rX" in "".join(plan.notes)
