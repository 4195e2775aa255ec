"""A workspace: one folder for caches, models, weights, data, checkpoints, and its variables.

    root/cache/         every tool's cache: huggingface/{hub,transformers}, torch, datasets, pip ...; in the image it is
                        /workspace/.cache, and the two layouts show the same files (caches/links.py)
    root/models/        models as downloaded or converted, one folder each
    root/weights/       weights of one's own: projectors, adapters
    root/data/          training and benchmark data
    root/checkpoints/   what training writes
    root/.env, root/setup_env.sh

Standard library only: it runs before anything else is installed, and before transformers is imported.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common import env_files
from vldock.common.cache_env import WORKSPACE, variables_below
from vldock.common.caches import links
from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem import permission_hints
from vldock.common.filesystem.permissions import Identity, can_write, whoami
from vldock.common.image_paths import BUILD_FACTS
from vldock.common.matrix import MODELS

ROOT_VARIABLE = "WORKSPACE_ROOT"
FOLDERS = ("cache", "models", "weights", "data", "checkpoints")
CACHES = {  # where a workspace's layout is not the image's
    "HUGGINGFACE_HUB_CACHE": "cache/huggingface/hub",
    "TRANSFORMERS_CACHE": "cache/huggingface/transformers",
    "HF_DATASETS_CACHE": "cache/datasets",
}
TREE = (*CACHES.values(), "cache/torch", "cache/pip", *FOLDERS)
# In the image these move too; on a person's machine they hold settings and keys, not caches.
NOT_CACHES = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "IPYTHONDIR")
# These read their cache variables once, when they are imported.
READ_AT_IMPORT = ("huggingface_hub", "transformers", "datasets", "matplotlib", "numba", "nltk")


@dataclass(frozen=True)
class Workspace:
    """A workspace on disk: its root, and remarks (little disk space) with hints."""

    root: Path
    notes: tuple[str, ...] = ()

    @property
    def env_file(self) -> Path:
        """The file for `docker run --env-file`."""
        return self.root / ".env"

    @property
    def setup_file(self) -> Path:
        """The file for bash."""
        return self.root / "setup_env.sh"


@dataclass(frozen=True)
class Activation:
    """The variables changed, the libraries that had read the old values, and what could not be made."""

    root: Path
    changed: tuple[str, ...]
    too_late: tuple[str, ...]
    unmade: EnvironmentUnfit | None = None

    def warning(self) -> str | None:
        """Return the sentence to warn with; None where all is in time and made."""
        if not self.too_late:
            return f"{self.unmade.message}. hint: {self.unmade.hint}" if self.unmade else None
        return (
            f"too late for this process: {', '.join(self.too_late)} had read the old cache folders and go on using "
            f"them. hint: import setup_workspace_cache first, or source {self.root}/setup_env.sh before Python starts"
        )


class TooLate(UserWarning):
    """The environment was set after a library had read it."""


def find_root(environ: Mapping[str, str], folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute root: `folder`, else $WORKSPACE_ROOT, else the image's, or the current folder."""
    default = WORKSPACE if in_image() else "."
    return Path(os.path.abspath(Path(folder or environ.get(ROOT_VARIABLE) or default).expanduser()))  # noqa: PTH100 - links are kept


def in_image() -> bool:
    """Return whether this runs in the image."""
    return Path(BUILD_FACTS).is_file()


def variables(root: Path) -> dict[str, str]:
    """Return every variable of the workspace at `root`."""
    caches = {**variables_below(f"{root}/cache"), **{name: f"{root}/{place}" for name, place in CACHES.items()}}
    return {ROOT_VARIABLE: str(root), **{name: path for name, path in caches.items() if name not in NOT_CACHES}}


def make(root: Path, *, who: Identity | None = None) -> Workspace:
    """Make the folders and the links between them, write .env and setup_env.sh; keep existing files.

    Raises UsageError for a path env files cannot carry, EnvironmentUnfit with the command that repairs it when the root
    cannot be written.
    """
    who = who or whoami()
    values = variables(root)
    made = Workspace(root, tuple(_notes(root)))
    block, script = env_files.render_dot_env(values, made.setup_file), env_files.render_setup_env(values)
    try:
        (root / "cache").mkdir(parents=True, exist_ok=True)
        links.join_layouts(root / "cache")
        for name in TREE:
            (root / name).mkdir(parents=True, exist_ok=True)
        there = made.env_file.read_text(encoding="utf-8") if made.env_file.exists() else ""
        env_files.write(made.env_file, env_files.merge(there, block), mode=0o600)  # tokens go there
        env_files.write(made.setup_file, script, mode=0o644)
    except OSError as error:
        raise _unmade(error, root, who) from error
    return made


def _unmade(error: OSError, root: Path, who: Identity) -> EnvironmentUnfit:
    found = permission_hints.write_error(error, root, who)
    if in_image() and error.errno in permission_hints.NO_PERMISSION:  # where no sudo is, and a chown would be lost
        found.hint = (
            f'start with -v "$PWD/ws:/ws" -e {ROOT_VARIABLE}=/ws, a folder of yours; '
            f"or, lost with this container: {ROOT_VARIABLE}=/tmp/ws, then the same"
        )
    return found


def activate(
    environ: MutableMapping[str, str], *, root: Path | None = None, loaded: Iterable[str] | None = None
) -> Activation:
    """Make the workspace and set its variables in `environ`.

    The result names the loaded libraries that had read the old ones. Where caches can be written and the rest cannot,
    the variables are set all the same and the result says so. Raises as `make` does.
    """
    root = root or find_root(environ)
    values, unmade = variables(root), None
    try:
        make(root)
    except EnvironmentUnfit as error:
        if not can_write(root / "cache" / links.HOME):
            raise
        unmade = error
    changed = tuple(name for name, value in values.items() if name != ROOT_VARIABLE and environ.get(name) != value)
    environ.update(values)
    present = set(sys.modules if loaded is None else loaded)
    too_late = tuple(name for name in READ_AT_IMPORT if name in present) if changed else ()
    return Activation(root, changed, too_late, unmade)


def _notes(root: Path) -> list[str]:
    """Return a remark where the disk cannot hold the weights of the matrix."""
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free, wanted = shutil.disk_usage(there).free / 1e9, sum(model.gigabytes for model in MODELS if model.in_matrix)
    if free >= wanted:
        return []
    return [f"{free:.0f} GB free on the disk of {root}; the LLaVA weights take {wanted:.0f} GB. hint: a larger disk"]
