"""The Hub's token: from .env, else from the environment; never printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vldock.common import dot_env
from vldock.common.errors import InputRefused, UsageError

USUAL = Path(".env")


def find_token(env_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """Return the token of `env_file`, else of the environment, or None.

    Without an `env_file`: .env of this folder.

    Raises UsageError when the file that was named is not there, InputRefused when it cannot be read.
    """
    if env_file is not None and not env_file.exists():
        raise UsageError(f"--env-file {env_file} is not there", expected="a file with HUGGING_FACE_HUB_TOKEN=...")
    path = env_file or USUAL
    values = read_env_file(path) if path.is_file() else {}
    return dot_env.find_token(values) or dot_env.find_token(environ)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file as the container reads them.

    Raises InputRefused where it cannot be read.
    """
    try:
        return dot_env.parse_dot_env(path.read_bytes(), os.environ)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
    raise InputRefused(f"{path} cannot be read: {reason}", hint=f"chmod u+r {path}; it must be UTF-8 text")
