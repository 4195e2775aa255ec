""".env files with tokens and keys.

They are read from the two mount points and from the workspace, and never printed.
The container's own environment comes first (`docker run -e` beats the file), then /workspace/VLMEvalKit/.env, then
/workspace/.env, then $WORKSPACE_ROOT/.env; a variable that is empty counts as not set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from vldock.common.dot_env import find_token, parse_dot_env
from vldock.common.image_paths import ENV_FILES

WORKSPACE_ROOT = "WORKSPACE_ROOT"  # common.workspace has it too; importing that takes 20 ms of every start
_printed: set[str] = set()


def load_mounted() -> None:
    """Load the image's two .env files, and the workspace's."""
    workspace = os.environ.get(WORKSPACE_ROOT)
    load([*map(Path, ENV_FILES), *([Path(workspace, ".env")] if workspace else [])])


def load(files: Sequence[Path], env: MutableMapping[str, str] | None = None) -> None:
    """Set the unset variables of `files`.

    A missing file is ignored; an unreadable one causes a warning. HF_TOKEN is then the token found first, under any of
    its names, since huggingface_hub knows two of them and prefers HF_TOKEN whoever set it.
    """
    env = os.environ if env is None else env
    token = find_token(env)
    for file in files:
        values = _read(file, env)
        token = token or find_token(values)
        for name, value in values.items():
            if value and not env.get(name):
                env[name] = value
    if token:
        env["HF_TOKEN"] = token


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
