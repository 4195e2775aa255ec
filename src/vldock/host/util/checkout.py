"""The checkout vldock runs from: folder, revision, and inputs of the image."""

from __future__ import annotations

from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.host.util.process import Runner, capture

DOCKERFILE = "docker/transformers-4.37/Dockerfile"
LOCK = "locks/transformers-4.37.lock"
BASE_FILE = "locks/base.json"
IMAGE_TAG = "vldock:4.37"

# What the Dockerfile copies: an edit elsewhere leaves the image the same, so it is not "dirty" for it.
IMAGE_INPUTS = (
    "docker",
    "locks",
    "patches",
    "entrypoint.sh",
    "scripts",
    "src/vldock/__init__.py",
    "src/vldock/common",
    "src/vldock/image",
    "tests/image",
)


def root() -> Path:
    """Return the folder that holds pyproject.toml, docker/ and locks/.

    Raises EnvironmentUnfit when vldock was installed without its checkout.
    """
    here = Path(__file__).resolve()
    for folder in (*here.parents, *(Path.cwd() / "x").parents):
        if (folder / "pyproject.toml").is_file() and (folder / "locks").is_dir():
            return folder
    raise EnvironmentUnfit(
        f"vldock runs from {here.parent}, which is no checkout of the project",
        expected="pyproject.toml and locks/ in a folder above",
        hint="clone the repository and install it with: pip install --no-deps -e .",
    )


def revision(folder: Path, *, run: Runner = capture) -> str:
    """Return the git commit; 'unknown' without git.

    With -dirty when a file that enters the image is changed.
    """
    head = run(["git", "-C", str(folder), "rev-parse", "HEAD"])
    if not head.ok:
        return "unknown"
    inputs = [name for name in IMAGE_INPUTS if (folder / name).exists()]
    status = run(["git", "-C", str(folder), "status", "--porcelain", "--", *inputs])
    return head.stdout.strip() + ("-dirty" if status.stdout.strip() else "")
