"""Where a session's sockets are: a private folder, found again by every `docker exec` of the same user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vldock.common.errors import EnvironmentUnfit
from vldock.common.writable import private_folder, temporary_root, whoami

VARIABLE = "VLDOCK_SESSION"  # another folder than <tmp>/vldock-session-<uid>
REQUEST = "VLDOCK_REQUEST"  # names a request, so that it can be cancelled from outside
WORKER = "VLDOCK_WORKER"  # 0: load in process
LONGEST = 100  # bytes of a Unix socket's path; the kernel's bound is 107


class Place(NamedTuple):
    """The files of a session."""

    folder: Path

    @property
    def runs(self) -> Path:
        """The server's socket."""
        return self.folder / "run.sock"

    @property
    def questions(self) -> Path:
        """The worker's socket."""
        return self.folder / "worker.sock"

    @property
    def lock(self) -> Path:
        """Held by the server for as long as it lives."""
        return self.folder / "lock"


def is_there(environ: Mapping[str, str]) -> bool:
    """Tell whether a session was started here; makes nothing."""
    asked = environ.get(VARIABLE, "").strip()
    who = whoami()
    folder = Path(asked) if asked else temporary_root(environ, who) / f"vldock-session-{who.uid}"
    return os.path.lexists(Place(folder).runs)


def of(environ: Mapping[str, str]) -> Place:
    """Return the session's place, its folder made with mode 0700 where it is missing.

    Raises EnvironmentUnfit where somebody else sits on that name, others may enter, or the path is too long.
    """
    asked = environ.get(VARIABLE, "").strip()
    place = Place(_own(Path(asked)) if asked else private_folder(environ, whoami(), "session"))
    if place.folder.stat().st_mode & 0o077:
        raise EnvironmentUnfit(
            f"{place.folder} is open to others (mode {place.folder.stat().st_mode & 0o777:04o})",
            expected="mode 0700: whoever enters could run code as this user",
            hint=f"chmod 700 {place.folder}",
        )
    if len(os.fsencode(place.questions)) > LONGEST:
        raise EnvironmentUnfit(
            f"{place.folder} is too long for a Unix socket", expected=f"{LONGEST} bytes", hint=VARIABLE
        )
    return place


def _own(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.lstat().st_uid != os.geteuid():
        raise EnvironmentUnfit(
            f"{VARIABLE}={folder} belongs to uid {folder.lstat().st_uid}", expected=f"a folder of uid {os.geteuid()}"
        )
    return folder
