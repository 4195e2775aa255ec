"""Activation of the stand-ins: what it sets, what it refuses. Host Python, a tiny folder of assets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.image.standin import ASSETS, Manifest, activate, check_assets, load_manifest
from vldock.image.standin.manifest import list_files, md5_of


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder laid out as the real assets: one table, one cached model, a manifest."""
    home = tmp_path / "assets"
    model = home / "huggingface" / "models--a--b"
    for folder in (home / "LMUData", model / "blobs", model / "snapshots"):
        folder.mkdir(parents=True)
    (home / "LMUData" / "POPE.tsv").write_text("index\tquestion\n0\tIs it?\n", encoding="utf-8")
    (model / "blobs" / "1234").write_text("{}", encoding="utf-8")
    (model / "snapshots" / "config.json").symlink_to("../blobs/1234")
    tables = {"POPE": {"md5": md5_of(home / "LMUData" / "POPE.tsv"), "rows": 1}}
    manifest = Manifest(0, "recipe", {}, list_files(home), tables, {})
    (home / "manifest.json").write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    return home


def test_every_hub_variable_points_to_the_assets(assets: Path, tmp_path: Path) -> None:
    environ = {"HF_HOME": "/elsewhere"}

    activate(environ, scratch=tmp_path / "scratch", assets=assets)

    names = ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE")
    assert {environ[name] for name in names} == {str(assets / "huggingface")}


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "VLDOCK_STANDIN"])
def test_the_switch_is_on(name: str, assets: Path, tmp_path: Path) -> None:
    environ = {name: "0"}

    activate(environ, scratch=tmp_path / "scratch", assets=assets)

    assert environ[name] == "1"


def test_the_table_is_linked_and_its_md5_accepted(assets: Path, tmp_path: Path) -> None:
    environ: dict[str, str] = {}

    root = activate(environ, scratch=tmp_path / "scratch", assets=assets)

    link = Path(environ["LMUData"]) / "POPE.tsv"
    assert (link.is_symlink(), link.read_text(encoding="utf-8").count("\n")) == (True, 2)
    assert environ["VLDOCK_ACCEPT_MD5"] == f"POPE={md5_of(link)}"
    assert root.data == link.parent


def test_a_run_of_a_session_uses_the_data_folder_of_the_session(assets: Path, tmp_path: Path) -> None:
    session, run = dict[str, str](), dict[str, str]()
    activate(session, scratch=tmp_path / "session", assets=assets)

    activate(run, scratch=Path(session["LMUData"]).parent, assets=assets)

    assert run["LMUData"] == session["LMUData"]
    assert (Path(run["LMUData"]) / "POPE.tsv").is_file()


def test_without_scratch_the_folder_is_private_and_gone_afterwards(assets: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from vldock.image.standin import activate\n"
        "activate(os.environ, assets=Path(sys.argv[1]))\n"
        "data = Path(os.environ['LMUData']); print(data, oct(data.parent.parent.stat().st_mode & 0o777))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(assets)],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    data, mode = done.stdout.split()
    assert (Path(data).is_relative_to(tmp_path), mode, Path(data).exists()) == (True, "0o700", False)


def test_many_at_once_share_a_scratch_folder(assets: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"

    with ThreadPoolExecutor(8) as pool:
        roots = list(pool.map(lambda _: activate({}, scratch=scratch, assets=assets), range(32)))

    assert {root.data for root in roots} == {scratch / "LMUData"}
    assert [path.name for path in (scratch / "LMUData").iterdir()] == ["POPE.tsv"]


def test_a_scratch_folder_that_is_a_link_is_refused(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "scratch").symlink_to(tmp_path / "real")

    with pytest.raises(EnvironmentUnfit, match="is a link"):
        activate({}, scratch=tmp_path / "scratch", assets=assets)


def test_a_scratch_folder_open_to_others_is_refused(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch").chmod(0o777)

    with pytest.raises(EnvironmentUnfit, match="writable by others"):
        activate({}, scratch=tmp_path / "scratch", assets=assets)


def test_a_scratch_folder_of_another_user_is_refused(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4321)

    with pytest.raises(EnvironmentUnfit, match="belongs to uid"):
        activate({}, scratch=tmp_path / "scratch", assets=assets)


def test_a_changed_file_is_refused_by_name(assets: Path, tmp_path: Path) -> None:
    (assets / "LMUData" / "POPE.tsv").write_text("index\n", encoding="utf-8")

    with pytest.raises(InputRefused, match=r"POPE\.tsv has sha256"):
        activate({}, scratch=tmp_path / "scratch", assets=assets)


def test_a_missing_file_is_refused_by_name(assets: Path) -> None:
    manifest = load_manifest(assets)
    (assets / "LMUData" / "POPE.tsv").unlink()

    with pytest.raises(InputRefused, match=r"POPE\.tsv is missing"):
        check_assets(manifest, assets)


def test_an_undeclared_file_is_refused_by_name(assets: Path) -> None:
    manifest = load_manifest(assets)
    (assets / "huggingface" / "stray.bin").write_bytes(b"?")

    with pytest.raises(InputRefused, match=r"stray\.bin is not declared"):
        check_assets(manifest, assets)


def test_assets_without_a_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        load_manifest(tmp_path)


def test_activation_imports_the_standard_library_only() -> None:
    code = "import sys; import vldock.image.standin; print([m for m in ('numpy', 'torch', 'PIL') if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_the_repository_holds_what_the_manifest_says() -> None:
    check_assets(load_manifest(ASSETS), ASSETS)


def test_stand_in_weights_alone_leave_the_users_tables(assets: Path, tmp_path: Path) -> None:
    environ = {"LMUData": str(tmp_path), "VLDOCK_ACCEPT_MD5": "POPE=1", "VLDOCK_STANDIN": "Weights"}

    activate(environ, samples=False, assets=assets)

    assert environ["HF_HOME"] == str(assets / "huggingface")
    assert (environ["LMUData"], environ["VLDOCK_ACCEPT_MD5"]) == (str(tmp_path), "POPE=1")
    assert environ["VLDOCK_STANDIN"] == "weights"
