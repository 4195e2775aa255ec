"""scripts/cloud_user_data.sh --dry-run shows every command, runs none, formats no disk unasked."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

from vldock.host.cli.main import COMMANDS

SCRIPT = ROOT / "scripts" / "cloud_user_data.sh"


def run(*words: str, stubs: Path, **given: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{stubs}:{os.environ['PATH']}", "VLDOCK_USER": "root", **given}
    return subprocess.run(["bash", str(SCRIPT), *words], env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Fake commands that would change a machine; each leaves a mark when run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mkfs.ext4", "mount", "mkdir", "install", "apt-get", "git", "docker", "env"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\n")
        (folder / name).chmod(0o755)
    return folder


def commands(text: str) -> list[str]:
    return [line.removeprefix("+ ").replace("'", "") for line in text.splitlines() if line.startswith("+ ")]


def test_a_dry_run_shows_every_command_in_order_and_runs_none(stubs: Path) -> None:
    done = run(
        "--dry-run", stubs=stubs, VLDOCK_DISK="/dev/absent", VLDOCK_FORMAT="1",
        VLDOCK_REPOSITORY="https://host/vldock.git", VLDOCK_IMAGE="host/vldock@sha256:1",
    )  # fmt: skip

    shown = commands(done.stdout)
    wanted = ["mkfs.ext4", "mount", "install -d", "apt-get", "git clone", "setup_host.sh", "engine up", "docker pull"]
    places = [next(index for index, line in enumerate(shown) if word in line) for word in wanted]
    assert done.returncode == 0, done.stderr
    assert places == sorted(places)
    assert re.findall(r"^== (\d)/7", done.stdout, re.MULTILINE) == list("1234567")
    assert not list(stubs.parent.glob("ran-*"))


def test_no_disk_is_formatted_unasked(stubs: Path) -> None:
    done = run("--dry-run", stubs=stubs, VLDOCK_DISK="/dev/absent")

    assert "/dev/absent holds no file system\nhint: VLDOCK_FORMAT=1 makes one" in done.stderr


@pytest.mark.parametrize("holds", ["ext4", "gpt"])
def test_a_disk_that_holds_something_is_never_formatted(stubs: Path, holds: str) -> None:
    (stubs / "wipefs").write_text(f"#!/bin/sh\necho {holds}\n")
    (stubs / "wipefs").chmod(0o755)

    done = run("--dry-run", stubs=stubs, VLDOCK_DISK="/dev/absent", VLDOCK_FORMAT="1")

    assert "mkfs" not in done.stdout
    assert ("has partitions" in done.stderr) is (holds == "gpt")


@pytest.mark.skipif(os.geteuid() != 0, reason="root gets past the first refusal")
def test_a_disk_that_is_not_there_stops_a_real_run_before_anything_is_done(stubs: Path) -> None:
    done = run(stubs=stubs, VLDOCK_DISK="/dev/absent", VLDOCK_FORMAT="1")

    assert (done.returncode, done.stderr.splitlines()[0]) == (3, "error: /dev/absent is no disk of this machine")
    assert not list(stubs.parent.glob("ran-*"))


def test_without_disk_and_image_the_root_disk_and_this_checkout_are_used(stubs: Path) -> None:
    shown = commands(run("--dry-run", stubs=stubs).stdout)

    assert not [line for line in shown if "mkfs" in line or line.startswith(("mount", "docker pull", "git"))]
    assert f"{SCRIPT.parents[1]}/.venv/bin/vldock build" in shown


def test_every_vldock_command_it_runs_exists(stubs: Path) -> None:
    used = re.findall(r"/vldock\"? (\S+)", SCRIPT.read_text(encoding="utf-8"))

    assert used
    assert set(used) <= set(COMMANDS)


def test_another_argument_is_a_usage_error(stubs: Path) -> None:
    assert run("--yes", stubs=stubs).returncode == 2
