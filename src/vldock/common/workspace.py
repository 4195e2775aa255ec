"""A workspace: one folder for caches, models, weights, data, checkpoints, and its variables.

    root/cache/         every tool's cache, laid out as /workspace/.cache is in the image
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
from vldock.common.cache_env import variables_below
from vldock.common.filesystem import permission_hints
from vldock.common.filesystem.permissions import Identity, whoami
from vldock.common.matrix import MODELS

ROOT_VARIABLE = "WORKSPACE_ROOT"
FOLDERS = ("cache", "models", "weights", "data", "checkpoints")
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
    """The variables changed, and the libraries that had read the old values."""

    root: Path
    changed: tuple[str, ...]
    too_late: tuple[str, ...]

    def warning(self) -> str | None:
        """Return the sentence to warn with; None where all is in time."""
        if not self.too_late:
            return None
        return (
            f"too late for this process: {', '.join(self.too_late)} had read the old cache folders and go on using "
            f"them. hint: import setup_workspace_cache first, or source {self.root}/setup_env.sh before Python starts"
        )


class TooLate(UserWarning):
    """The environment was set after a library had read it."""


def find_root(environ: Mapping[str, str], folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute root: `folder`, else $WORKSPACE_ROOT, else the current folder."""
    return Path(os.path.abspath(Path(folder or environ.get(ROOT_VARIABLE) or ".").expanduser()))  # noqa: PTH100 - links are kept


def variables(root: Path) -> dict[str, str]:
    """Return every variable of the workspace at `root`."""
    caches = variables_below(f"{root}/cache")
    return {ROOT_VARIABLE: str(root), **{name: path for name, path in caches.items() if name not in NOT_CACHES}}


def make(root: Path, *, who: Identity | None = None) -> Workspace:
    """Make the folders, write .env and setup_env.sh; keep existing files.

    Raises UsageError for a path env files cannot carry, EnvironmentUnfit with the command that repairs it when the root
    cannot be written.
    """
    who = who or whoami()
    values = variables(root)
    made = Workspace(root, tuple(_notes(root)))
    block, script = env_files.render_dot_env(values, made.setup_file), env_files.render_setup_env(values)
    try:
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        there = made.env_file.read_text(encoding="utf-8") if made.env_file.exists() else ""
        env_files.write(made.env_file, env_files.merge(there, block), mode=0o600)  # tokens go there
        env_files.write(made.setup_file, script, mode=0o644)
    except OSError as error:
        raise permission_hints.write_error(error, root, who) from error
    return made


def activate(
    environ: MutableMapping[str, str], *, root: Path | None = None, loaded: Iterable[str] | None = None
) -> Activation:
    """Make the workspace and set its variables in `environ`.

    The result names the loaded libraries that had read the old ones.
    """
    made = make(root or find_root(environ))
    values = variables(made.root)
    changed = tuple(name for name, value in values.items() if name != ROOT_VARIABLE and environ.get(name) != value)
    environ.update(values)
    present = set(sys.modules if loaded is None else loaded)
    too_late = tuple(name for name in READ_AT_IMPORT if name in present) if changed else ()
    return Activation(made.root, changed, too_late)


def _notes(root: Path) -> list[str]:
    """Return a remark where the disk cannot hold the weights of the matrix."""
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free, wanted = shutil.disk_usage(there).free / 1e9, sum(model.gigabytes for model in MODELS if model.in_matrix)
    if free >= wanted:
        return []
    return [f"{free:.0f} GB free on the disk of {root}; the LLaVA weights take {wanted:.0f} GB. hint: a larger disk"]
