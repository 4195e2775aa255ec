"""Checks of the doctor, without torch and without an image."""

from __future__ import annotations

import json
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path

import pytest

from vldock.common.cache_env import CACHE_ENV
from vldock.common.check import Check, Status, run_check
from vldock.common.matrix import BENCHMARKS
from vldock.common.workspace import variables
from vldock.image import doctor
from vldock.image.doctor import render, software, workspace

SECRET = "hf_not_to_be_shown"


def test_a_version_that_is_not_the_locked_one_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("pytest==0.0.1 \\\n    --hash=sha256:00\nabsent-thing==1.0\n", encoding="utf-8")

    (check,) = software.check_versions(lock)

    assert check.status == "fail"
    assert f"pytest {version('pytest')}, locked 0.0.1" in check.seen
    assert "absent-thing absent, locked 1.0" in check.seen


def test_without_a_lock_or_patches_the_image_is_not_whole(tmp_path: Path) -> None:
    assert software.check_versions(tmp_path / "absent")[0].status == "fail"
    assert software.check_patches(tmp_path)[0].status == "fail"


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> list[Check]:
        raise OSError("no such device")

    assert run_check("gpu", broken) == [Check("gpu", "fail", "OSError: no such device", "a check that runs to its end")]


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN"])
def test_a_token_in_the_environment_is_found_and_not_shown(name: str) -> None:
    (check,) = workspace.check_token({name: SECRET}, files=())

    assert (check.status, check.seen) == ("ok", f"set in {name}")
    assert SECRET not in repr(check)


def test_a_token_in_a_file_is_found_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# mine\nOPENAI_API_KEY=\nHUGGING_FACE_HUB_TOKEN='{SECRET}'\n", encoding="utf-8")

    (check,) = workspace.check_token({}, files=(str(file),))

    assert (check.status, check.seen) == ("ok", f"HUGGING_FACE_HUB_TOKEN in {file}")
    assert SECRET not in repr(check)


def test_an_empty_token_is_none(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HUGGING_FACE_HUB_TOKEN=\n", encoding="utf-8")

    assert workspace.check_token({}, files=(str(file),))[0].status == "skip"


def test_a_folder_in_the_place_of_the_env_file_is_told(tmp_path: Path) -> None:
    assert "is a folder" in workspace.check_token({}, files=(str(tmp_path),))[0].seen


def test_a_benchmark_file_of_another_md5_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("not the real one", encoding="utf-8")

    present, md5 = workspace.check_data({"LMUData": str(tmp_path)})

    assert present.seen.startswith(f"1 of {len(BENCHMARKS)}")
    assert (md5.status, md5.expected) == ("fail", "the md5 VLMEvalKit declares")
    assert "VLDOCK_ACCEPT_MD5=POPE=" in str(md5.hint)


def test_a_file_accepted_by_its_md5_is_as_declared(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("", encoding="utf-8")
    environ = {"LMUData": str(tmp_path), "VLDOCK_ACCEPT_MD5": "POPE=d41d8cd98f00b204e9800998ecf8427e"}

    assert workspace.check_data(environ)[1].status == "ok"


def test_declared_caches_are_ok_and_one_led_astray_is_named() -> None:
    assert workspace.check_caches(dict(CACHE_ENV))[0].status == "ok"

    astray = workspace.check_caches({**CACHE_ENV, "TORCH_HOME": "/root/.cache/torch"})[0]

    assert (astray.status, astray.seen) == ("warn", "TORCH_HOME=/root/.cache/torch")


@pytest.mark.parametrize(
    "given",
    [variables(Path("/workspace")), variables(Path("/data/ws")), {"HF_HOME": "/x", "HF_DATASETS_CACHE": "/x/datasets"}],
    ids=["the workspace", "a mounted workspace", "HF_HOME of the user's"],
)
def test_a_workspace_s_caches_and_the_user_s_own_hf_home_are_ok(given: dict[str, str]) -> None:
    found = workspace.check_caches({**CACHE_ENV, **given})[0]

    assert (found.status, found.hint) == ("ok", None)


def test_the_verdict_counts_and_hints_stand_below_their_finding() -> None:
    text = render([Check("versions", "ok", "as locked"), Check("gpu", "fail", "none", "one", "--gpus all")])

    assert text.splitlines() == [
        "ok    versions  as locked",
        "FAIL  gpu       none",
        "                expected: one",
        "                hint: --gpus all",
        "unfit: 1 ok, 0 warnings, 1 failed",
    ]


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("skip", 0), ("fail", 3)])
def test_only_a_failure_makes_the_container_unfit(
    status: Status, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.startup, "prepare", lambda: False)
    monkeypatch.setattr(doctor, "examine", lambda **_: [Check("gpu", status, "as it is")])

    assert doctor.main(Namespace(json=True, require_gpu=False)) == code
    assert json.loads(capsys.readouterr().out)["fit"] is (code == 0)
