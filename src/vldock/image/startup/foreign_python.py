"""Python code from outside the image: found, refused unless allowed, recorded.

Every run.py checks before anything else, so the check takes microseconds. PYTHONPATH, a sitecustomize or a mounted
folder can change any answer, and a cluster's container inherits the variables of the shell it is started from.
"""

from __future__ import annotations

import os
import sys

from vldock.common.build_digest import BUILD_FACTS
from vldock.common.errors import InputRefused
from vldock.common.image_paths import LLAVA, OPT, VENV, VLMEVALKIT, WORKSPACE_SCRIPTS

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALLOW = "VLDOCK_ALLOW_PYTHON"
NO = ("", "0", "no", "false", "off")
PATH = "PYTHONPATH"
CUSTOMIZATIONS = ("sitecustomize", "usercustomize")
VARIABLES = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE")
STANDARD_LIBRARY = ("/usr/lib/python3.11", "/usr/lib/python311.zip")
OWN = tuple(f"{folder}/" for folder in (*STANDARD_LIBRARY, VENV, OPT, LLAVA, VLMEVALKIT, WORKSPACE_SCRIPTS))
_noticed: list[str] = []  # one text, after refuse_foreign


def refuse_foreign(environ: Mapping[str, str]) -> None:
    """Raise InputRefused for foreign Python.

    Unless VLDOCK_ALLOW_PYTHON allows it.
    To be called as a process begins: later, libraries have put their own folders on sys.path.
    """
    there = os.path.isfile(BUILD_FACTS)  # noqa: PTH113  outside an image every Python is foreign
    found = "; ".join(find_foreign(environ)) if there else ""
    _noticed[:] = [found]
    if not found:
        return
    if environ.get(ALLOW, "").strip().lower() in NO:
        name = found.partition("=")[0]
        without = f"env -u {name} ..." if name in (PATH, *VARIABLES) else "start without it"
        raise InputRefused(
            f"Python code from outside the image is in reach: {found}",
            expected="the image's own Python alone",
            hint=f"{without}; or {ALLOW}=1, and the passport names it",
        )
    print(f"vldock: Python from outside the image, allowed and in the passport: {found}", file=sys.stderr, flush=True)


def describe_foreign(environ: Mapping[str, str]) -> str:
    """Return the foreign Python found at process start, as one line.

    Empty for none.
    For a process that was not started by a vldock command: its variables and customizations.
    """
    if _noticed:
        return _noticed[0]
    return "; ".join(_variables(environ) + _modules(CUSTOMIZATIONS)) if os.path.isfile(BUILD_FACTS) else ""  # noqa: PTH113


def find_foreign(environ: Mapping[str, str]) -> list[str]:
    """Return variables, folders and modules foreign to the image, each once.

    Folders are those of sys.path; modules are those imported.
    """
    folders = {os.path.abspath(path) for path in _foreign_paths(environ)}  # noqa: PTH100
    found = _variables(environ)
    for path in sys.path:
        if path and not is_own(path) and os.path.abspath(path) not in folders:  # noqa: PTH100  '' is python -c's
            found.append(f"sys.path has {_shown(path)}")
            folders.add(os.path.abspath(path))  # noqa: PTH100
    inside = tuple(f"{folder}/" for folder in folders)
    names = [
        name
        for name, module in list(sys.modules.items())
        if name in CUSTOMIZATIONS or not (inside and str(getattr(module, "__file__", None)).startswith(inside))
    ]
    return found + _modules(names)


def _foreign_paths(environ: Mapping[str, str]) -> list[str]:
    return [path for path in environ.get(PATH, "").split(os.pathsep) if path and not is_own(path)]


def _variables(environ: Mapping[str, str]) -> list[str]:
    paths = os.pathsep.join(map(_shown, _foreign_paths(environ)))
    found = [f"{PATH}={paths}"] if paths else []
    return found + [f"{name}={_shown(environ[name])}" for name in VARIABLES if environ.get(name)]


def _modules(names: Iterable[str]) -> list[str]:
    """Return those of these modules imported from outside the image.

    `__main__` is the user's own command.
    """
    files = ((name, getattr(sys.modules.get(name), "__file__", None)) for name in names if name != "__main__")
    return [f"{name} of {_shown(path)}" for name, path in files if path and not is_own(path)]


def is_own(path: str) -> bool:
    """Return whether a path is in the image's Python."""
    return f"{os.path.abspath(path)}/".startswith(OWN)  # noqa: PTH100


def _shown(path: str) -> str:
    """Return a path without a user's name: passports hold none."""
    parts = path.split("/")
    return "/".join(["~", *parts[3:]]) if parts[:2] in (["", "home"], ["", "Users"]) and len(parts) > 2 else path


def drop_current_folder() -> None:
    """Remove the current folder from sys.path, where `python -m` put it first.

    A user's `json.py` there must not be imported.
    """
    if sys.path and sys.path[0] == os.getcwd() and not is_own(sys.path[0]):  # noqa: PTH109
        del sys.path[0]
