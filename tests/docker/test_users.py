"""Any user, a read-only root: the same evaluation works and its files are the caller's."""

from __future__ import annotations

import os

import pytest

POPE = ["python", "/workspace/VLMEvalKit/run.py", "--data", "POPE", "--model", "llava_v1.5_7b"]
STANDIN = {"VLDOCK_STANDIN": "1", "VLMEVAL_SAMPLE_LIMIT": "3"}
USERS = ["0:0", "1000", "12345:12345", "12345:0"]


@pytest.fixture
def outputs(tmp_path, request):
    """A host folder that belongs to the user under test."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    uid, _, gid = request.node.callspec.params["user"].partition(":")
    os.chown(folder, int(uid), int(gid or 0))
    return folder


@pytest.mark.parametrize("read_only", [False, True], ids=["writable", "read-only"])
@pytest.mark.parametrize("user", USERS)
def test_evaluation_works_and_files_belong_to_the_caller(run_in_image, outputs, user, read_only):
    done = run_in_image(
        POPE,
        environment=STANDIN,
        user=user,
        read_only=read_only,
        tmpfs={"/tmp": ""} if read_only else None,
        mounts={outputs: "/workspace/outputs"},
    )
    assert done.exit_code == 0, done.text
    written = [path for path in outputs.rglob("*") if path.is_file()]
    assert written, done.text
    assert {path.stat().st_uid for path in written} == {int(user.split(":")[0])}


def test_read_only_without_any_mount_works_and_says_where_results_are(run_in_image):
    done = run_in_image(POPE, environment=STANDIN, user="12345:12345", read_only=True, tmpfs={"/tmp": ""})
    assert done.exit_code == 0, done.text
    assert "-v" in done.text
    assert "/workspace/outputs" in done.text


def test_an_unwritable_outputs_mount_is_named_with_its_cure(run_in_image, tmp_path):
    tmp_path.chmod(0o755)
    done = run_in_image(POPE, environment=STANDIN, user="12345:12345", mounts={tmp_path: "/workspace/outputs"})
    assert "/workspace/outputs" in done.text
    assert "chown" in done.text or "--user" in done.text


def test_an_env_file_that_docker_made_a_directory_is_named(run_in_image, tmp_path):
    done = run_in_image(["true"], mounts={tmp_path: "/workspace/.env"})
    assert "/workspace/.env" in done.text
    assert "is a folder" in done.text


def test_an_unknown_uid_has_a_name_and_a_home_that_can_be_written(run_in_image):
    script = "import getpass, pathlib; print(getpass.getuser()); (pathlib.Path.home() / 'x').write_text('x')"
    done = run_in_image(["python", "-c", script], user="54321:54321")
    assert done.exit_code == 0, done.text


def test_a_token_is_read_and_never_printed(run_in_image, tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("HUGGING_FACE_HUB_TOKEN=hf_secretsecretsecret\n")
    env_file.chmod(0o644)
    done = run_in_image(POPE, environment=STANDIN, mounts={env_file: "/workspace/.env"})
    assert done.exit_code == 0, done.text
    assert "hf_secretsecretsecret" not in done.text
