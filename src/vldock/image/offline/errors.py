"""Errors of loading a data set, one class per kind of failure.

NotCached               exit 3   nothing of it is in the cache, and the Hub may not or cannot be asked
PartlyCached            exit 4   a split, a file or a part of one is missing
Unreadable              exit 4   it is there, and the library cannot read it
AmbiguousConfiguration  exit 2   several configurations are cached, and none was named, or another one
Gated                   exit 3   the Hub wants a token, or consent to terms
NoSpace                 exit 3   the disk or the quota is full
NoPermission            exit 3   a folder cannot be read or written
NeedsCode               exit 4   the data set is a script, and running it was not allowed
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError, VldockError
from vldock.common.filesystem.permission_hints import NO_PERMISSION, NO_SPACE
from vldock.common.filesystem.permissions import nearest_existing, whoami, why_unwritable, writable_hint
from vldock.common.image_paths import TOKEN_VARIABLES


class NotCached(EnvironmentUnfit):
    """Data set absent from the cache.

    The Hub is not reachable or not allowed.
    """


class PartlyCached(InputRefused):
    """A split, a file or a part of one is missing."""


class Unreadable(InputRefused):
    """Cached data set, unreadable to the library."""


class AmbiguousConfiguration(UsageError):
    """Several configurations are cached, and none was named, or another one."""


class Gated(EnvironmentUnfit):
    """The Hub wants a token, or consent to terms."""


class NoSpace(EnvironmentUnfit):
    """The disk or the quota is full."""


class NoPermission(EnvironmentUnfit):
    """A folder cannot be read or written."""


class NeedsCode(InputRefused):
    """The data set is a script, and running it was not allowed."""


def fetch_hint(name: str, config: str | None = None) -> str:
    """Return the commands that fill the cache: the host's, or the library's own with a network."""
    arguments = f'"{name}"' + (f', "{config}"' if config else "")
    return (
        f"on the host: {hub_cache_layout.fetch_command(f'{hub_cache_layout.DATASETS}{name}')}; or once, in a container "
        "with a network and this cache mounted (-e HF_DATASETS_OFFLINE=0 -e HF_HUB_OFFLINE=0): "
        f"python -c 'from datasets import load_dataset; load_dataset({arguments})'"
    )


def map_error(
    error: BaseException, *, name: str, folder: Path, config: str | None = None, environ: Mapping[str, str] = os.environ
) -> VldockError | None:
    """Return the vldock error for a library's error.

    The whole chain of causes is searched.
    None for an unknown one.
    """
    for cause in causes_of(error):
        if isinstance(cause, OSError) and (found := _of_the_disk(cause, folder)):
            return found
        if _is_gated(cause):
            return gated_error(name, environ)
        if "trust_remote_code" in str(cause):
            return NeedsCode(
                f"{name} is a script that has to be run to make its data",
                expected="data files, or leave to run it",
                hint="read the script, then pass trust_remote_code=True",
            )
    absent = (ConnectionError, FileNotFoundError)
    if any(isinstance(cause, absent) or "Couldn't find cache" in str(cause) for cause in causes_of(error)):
        return NotCached(
            f"{name} is not in the cache, and the Hub did not give it: {str(error).splitlines()[0][:200]}",
            expected=f"its Arrow files or a snapshot in {folder}",
            hint=fetch_hint(name, config),
        )
    return None


def gated_error(name: str, environ: Mapping[str, str]) -> Gated:
    """Return the error for a gated data set.

    Either there is no token, or the token has no access.
    """
    where = f"https://huggingface.co/datasets/{name}"
    if any(environ.get(variable) for variable in TOKEN_VARIABLES):
        return Gated(
            f"{name} is gated and the token given may not read it",
            expected="a token of an account that accepted its terms",
            hint=f"accept the terms at {where}, or use the token of the account that did",
        )
    return Gated(
        f"{name} is gated and no token was given",
        expected="a Hugging Face token",
        hint=f"accept the terms at {where}; put HUGGING_FACE_HUB_TOKEN=... into .env and mount it at /workspace/.env",
    )


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_the_disk(error: OSError, folder: Path) -> VldockError | None:
    where = Path(str(error.filename)) if error.filename else folder
    if error.errno in NO_SPACE or "Not enough disk space" in str(error):
        return NoSpace(
            f"no room left to write {where}",
            expected="free space, within the quota",
            hint=f"df -h {nearest_existing(folder)}; on the host, vldock cache prune shows what can go; "
            "or mount a larger disk",
        )
    if error.errno in NO_PERMISSION:
        who = whoami()
        access = why_unwritable(where, who) if error.errno != errno.EROFS else f"{nearest_existing(where)} is read-only"
        return NoPermission(
            f"{where}: permission denied: {access}",
            expected=f"a cache uid {who.uid} can read and write",
            hint=writable_hint(_mount_of(folder), who),
        )
    return None


def _mount_of(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents[:-1]) if path.is_mount()), folder)


def _is_gated(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return "GatedRepoError" in names or ("DatasetNotFoundError" in names and "gated" in str(error))
