"""Modules of a distribution, read from the RECORD of its wheel."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import PurePosixPath

# Folders that several wheels share: what counts is the package below.
SHARED = {"nvidia", "google"}

# Their wheels were unpacked under /workspace: RECORD holds the .pth and the metadata.
EDITABLE = {"llava-torch": ["llava"], "ms-vlmeval": ["vlmeval"]}

# Modules in a wheel that are not meant to be imported, with the reason.
NOT_FOR_IMPORT = {
    ("matplotlib", "pylab"): "a namespace for interactive use that imports all of pyplot",
    ("pyarrow", "benchmarks"): "pyarrow's own benchmarks, packed by mistake",
    ("setuptools", "_distutils_hack"): "started by a .pth; importing it by hand replaces distutils",
    ("pip", "pip"): "a program: importing it under a running pip is unsupported; container/test_pip.py runs it",
}


def import_names(name: str) -> list[str]:
    """Return a distribution's importable top-level modules.

    Its second level below a shared folder.
    """
    if name in EDITABLE:
        return EDITABLE[name]
    found = {module for path in distribution(name).files or [] if (module := _module(PurePosixPath(str(path))))}
    return sorted(module for module in found if (name, module) not in NOT_FOR_IMPORT)


def _module(path: PurePosixPath) -> str | None:
    parts = path.parts
    if not all(part.split(".")[0].isidentifier() for part in parts):
        return None
    if len(parts) == 1 and path.suffix in (".py", ".so"):
        return path.name.split(".")[0]
    if path.name != "__init__.py":
        return None
    if parts[0] in SHARED:
        return ".".join(parts[:2]) if len(parts) == 3 else None
    return parts[0] if len(parts) == 2 else None
