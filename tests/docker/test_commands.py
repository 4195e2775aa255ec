"""`vldock run`, `doctor`, `version` and `clean` as a user types them, over the tiny image."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from support.containers import tracked_containers
from support.paths import VLDOCK

from vldock.host.containers import cleanup

pytestmark = pytest.mark.engine


def vldock(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a terminal."""
    return subprocess.run([*VLDOCK, *words], capture_output=True, text=True, check=False, cwd=cwd)


def run_words(image: str, *argv: str) -> Sequence[str]:
    return ("run", "--image", image, "--gpus", "none", "--network", "none", "--", *argv)


def test_run_prints_the_docker_command_and_passes_the_exit_code_on(tiny: str, tmp_path: Path) -> None:
    done = vldock(*run_words(tiny, "sh", "-c", "echo from inside; exit 7"), cwd=tmp_path)

    assert done.returncode == 7
    assert done.stdout == "from inside\n"
    assert "docker run --rm" in done.stderr
    assert f"{tmp_path / 'outputs'}:/workspace/outputs" in done.stderr


def test_what_run_writes_belongs_to_the_caller_and_stays(tiny: str, tmp_path: Path) -> None:
    assert vldock(*run_words(tiny, "touch", "/workspace/outputs/made"), cwd=tmp_path).returncode == 0

    assert (tmp_path / "outputs" / "made").stat().st_uid == os.getuid()


def test_a_token_file_is_mounted_and_its_content_not_printed(tiny: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUGGING_FACE_HUB_TOKEN=hf_secret\n")

    words = ("run", "--image", tiny, "--gpus", "none", "--env-file", ".env", "--", "sh", "-c")
    done = vldock(*words, "grep -c TOKEN /workspace/.env; touch /workspace/.env", cwd=tmp_path)

    assert done.stdout == "1\n"
    assert "hf_secret" not in done.stdout + done.stderr
    assert done.returncode != 0


def test_on_a_terminal_run_gives_the_container_a_terminal(tiny: str, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    words = [*VLDOCK, *run_words(tiny, "sh", "-c", "test -t 0 && test -t 1 && echo terminal")]
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=subprocess.PIPE, cwd=tmp_path) as child:
        child.communicate()
    os.close(slave)

    assert child.returncode == 0
    assert b"terminal" in os.read(master, 4096)
    os.close(master)


def test_ctrl_c_reaches_the_command_and_its_own_exit_code_comes_back(tiny: str, tmp_path: Path) -> None:
    script = "trap 'exit 42' INT; touch /workspace/outputs/ready; while :; do sleep 0.1; done"
    with subprocess.Popen(
        [*VLDOCK, *run_words(tiny, "sh", "-c", script)], cwd=tmp_path, start_new_session=True
    ) as child:
        wait_until.until((tmp_path / "outputs" / "ready").exists)
        os.killpg(child.pid, signal.SIGINT)
        child.wait()

    assert child.returncode == 42


def test_doctor_looks_at_the_machine_and_then_asks_the_image(tiny: str) -> None:
    done = vldock("doctor", "--image", tiny, "--gpus", "none", "--json")

    said = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in said["host"]}
    assert (done.returncode, said["fit"]) == (0, True)
    assert {states["engine"], states["builder"], states["image"], states["base"]} == {"ok"}
    assert "vldock.image doctor --json" in said["image"]["output"]


def test_doctor_without_the_image_is_unfit_and_says_how_to_have_it() -> None:
    done = vldock("doctor", "--image", "vldock-nowhere:0")

    assert done.returncode == 3
    assert "FAIL image" in done.stdout
    assert "hint: vldock build" in done.stdout


def test_version_tells_an_absent_image_apart() -> None:
    assert json.loads(vldock("version", "--image", "vldock-nowhere:0", "--json").stdout)["image"] is None


def test_clean_says_what_it_would_remove_and_spares_what_runs(docker_client: Any, tiny: str, session_id: str) -> None:
    with tracked_containers.running(
        docker_client, tracked_containers.make_spec(tiny, ["sleep", "600"], run_id=session_id)
    ) as container:
        name = container.handle.name

        done = vldock("clean", "--dry-run")

        assert f"container {name} is running: left alone" in done.stdout
        assert container.id in [handle.id for handle in cleanup.find(docker_client, run_id=session_id)]
