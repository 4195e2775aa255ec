""".env files as VLMEvalKit finds them: beside its package, and one folder up."""

from __future__ import annotations

from pathlib import Path

from vldock.image.process.env_file import load

__all__ = ["find_files", "load"]


def find_files(package: Path) -> tuple[Path, Path]:
    """Return the two .env paths of a VLMEvalKit package."""
    return package.parent / ".env", package.parent.parent / ".env"
