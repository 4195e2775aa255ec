"""A user's own folder below the temporary folder, as strings.

Every `docker exec` of run.py looks for it.

Like all that such a run imports it does without typing and pathlib, which take longer than the rest of it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from vldock.common.errors import EnvironmentUnfit

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Mapping


def temporary_root(environ: Mapping[str, str], uid: int) -> str:
    """Return the first writable temporary folder: $TMPDIR, /tmp, /var/tmp, /dev/shm.

    Raises EnvironmentUnfit when there is none.
    """
    roots = [root for root in (environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm") if root]
    for root in roots:
        if os.path.isdir(root) and os.access(root, os.W_OK | os.X_OK, effective_ids=True):  # noqa: PTH112
            return root
    raise EnvironmentUnfit(
        f"nothing can be written: {', '.join(roots)}",
        expected=f"one temporary folder that uid {uid} can write",
        hint="add --tmpfs /tmp to docker run",
    )


def folder_of(environ: Mapping[str, str], uid: int, kind: str) -> str:
    """Return <tmp>/vldock-<kind>-<uid>; makes nothing."""
    return os.path.join(temporary_root(environ, uid), f"vldock-{kind}-{uid}")  # noqa: PTH118


def make_private(path: str, uid: int) -> str:
    """Return `path`, made with mode 0700 where missing.

    Raises EnvironmentUnfit where it belongs to another user.
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)  # noqa: PTH102
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != uid:
        raise EnvironmentUnfit(
            f"{path} belongs to uid {seen.st_uid}",
            expected=f"a folder of uid {uid}, or none",
            hint=f"remove {path}, or set TMPDIR to a folder of your own",
        )
    return path
