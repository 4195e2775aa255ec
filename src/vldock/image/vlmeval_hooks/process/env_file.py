""".env files with tokens and keys.

They are read from the two mount points, and never printed.
The container's own environment comes first (`docker run -e` beats the file), then /workspace/VLMEvalKit/.env, then
/workspace/.env; a variable that is empty counts as not set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from vldock.common.dot_env import parse_dot_env
from vldock.common.image_paths import ENV_FILES

_printed: set[str] = set()


def find_files(package: Path) -> tuple[Path, Path]:
    """Return the two .env paths of a VLMEvalKit package.

    Beside the package, and one folder up.
    """
    return package.parent / ".env", package.parent.parent / ".env"


def load_mounted() -> None:
    """Load the image's two .env files, before VLMEvalKit does on import."""
    load([Path(file) for file in ENV_FILES])


def load(files: Sequence[Path], env: MutableMapping[str, str] | None = None) -> None:
    """Set the unset variables of `files`.

    A missing file is ignored; an unreadable one causes a warning.
    """
    env = os.environ if env is None else env
    for file in files:
        for name, value in _read(file, env).items():
            if value and not env.get(name):
                env[name] = value
    if env.get("HUGGING_FACE_HUB_TOKEN") and not env.get("HF_TOKEN"):
        env["HF_TOKEN"] = env["HUGGING_FACE_HUB_TOKEN"]


def _read(file: Path, env: Mapping[str, str]) -> dict[str, str]:
    if file.is_dir():
        _warn(
            f"{file} is a folder: docker makes one where the host file of -v is missing; "
            "remove that folder on the host, write the file, start the container anew"
        )
        return {}
    try:
        return parse_dot_env(file.read_bytes(), env)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        _warn(f"{file} cannot be read by uid {os.getuid()}: {reason}; on the host: chmod a+r FILE, or run with --user")
        return {}


def _warn(line: str) -> None:
    if line not in _printed:
        _printed.add(line)
        print(f"warning: {line}", file=sys.stderr, flush=True)
