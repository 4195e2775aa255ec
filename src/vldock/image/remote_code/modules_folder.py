"""Folder of the remote code that this process runs: new, private and empty, removed at exit.

transformers copies remote code to $HF_MODULES_CACHE, once, and never compares the copy again: one that was edited, or
left by another environment, would run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from vldock.common.errors import EnvironmentUnfit

PREFIX = "vldock-remote-code-"
PACKAGE = "transformers_modules"
_made: list[tuple[int, Path]] = []


def process_folder() -> Path:
    """Return the folder of this process, made at the first call.

    A fork makes a new one and imports remote code anew. Raises EnvironmentUnfit where none can be made.
    """
    if _made and _made[0][0] == os.getpid():
        return _made[0][1]
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_temporary()))
    except OSError as error:
        raise EnvironmentUnfit(
            f"no folder for the model's remote code: {error}", expected="a writable $TMPDIR", hint="--tmpfs /tmp"
        ) from error
    if _made:
        _forget(_made[0][1])
    _made[:] = [(os.getpid(), folder)]
    atexit.register(_remove, folder, os.getpid())
    return folder


def claim_imports(folder: Path) -> None:
    """Make imports of remote code find this folder alone.

    transformers puts it last on sys.path, where any other folder of that name would be found before it.
    """
    sys.path[:] = [str(folder), *(path for path in sys.path if path != str(folder))]
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        if not _lies_in(sys.modules[name], folder):
            del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    """Return whether a module's file, or its folder, lies below `folder`."""
    places = [*getattr(module, "__path__", []), *filter(None, [getattr(module, "__file__", None)])]
    return bool(places) and all(Path(place).is_relative_to(folder) for place in places)


def remove_of(pid: int) -> None:
    """Remove the folder of a process that ended by a signal, without its atexit handlers."""
    for folder in _temporary().glob(f"{PREFIX}{pid}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _temporary() -> Path:
    """Return $TMPDIR as it is now: it may have been moved to a writable place after tempfile read it."""
    return Path(os.environ.get("TMPDIR") or tempfile.gettempdir())


def _forget(folder: Path) -> None:
    """Drop the parent's remote code from this fork's imports."""
    sys.path[:] = [path for path in sys.path if path != str(folder)]
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
