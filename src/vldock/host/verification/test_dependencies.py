"""Test tools of the container, mounted and never part of the image.

Installed from locks/test.lock into a folder of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from vldock.common import hashing
from vldock.common.errors import EnvironmentUnfit

LOCK = "locks/test.lock"
TARGET = "/opt/test"
TESTS_TARGET = "/opt/test-image"


def prepare(folder: Path) -> Path:
    """Return the folder of the installed test tools.

    It is created once for each content of the lock.

    Raises EnvironmentUnfit where pip cannot get them.
    """
    kit = folder / ".vldock" / f"testkit-{hashing.sha256_file(folder / LOCK)[:12]}"
    if kit.is_dir():
        return kit
    part = kit.with_suffix(f".{os.urandom(4).hex()}.part")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--no-compile", "--require-hashes"]
    argv += ["--no-deps", "--target", str(part), "-r", str(folder / LOCK)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise EnvironmentUnfit(f"the test tools of {LOCK} cannot be installed: {last}", hint="make setup")
    part.rename(kit)
    return kit
