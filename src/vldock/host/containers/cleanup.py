"""Stop and remove containers; find leftovers of killed processes by label."""

from __future__ import annotations

from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.spec import ROLE_LABEL, RUN_LABEL
from vldock.host.errors import error_text

STOP_SECONDS = 10


def end_container(handle: Any, *, gently: bool = False) -> None:
    """Remove a container by force; `gently` stops it, with ten seconds to end.

    A container that is gone is fine.

    Raises EnvironmentUnfit when it cannot be removed.
    """
    from docker.errors import APIError, NotFound

    try:
        if gently:
            handle.stop(timeout=STOP_SECONDS)
        else:
            handle.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if not gently and error.status_code != 409:  # 409: its removal is already in progress
            raise EnvironmentUnfit(
                f"container {handle.name} cannot be removed: {error_text(error)}", hint=f"docker rm -f {handle.name}"
            ) from error


def find(client: Any, *, role: str | None = None, run_id: str | None = None) -> list[Any]:
    """Return every container of vldock, running or not.

    Of one role or one run, where given.
    """
    labels = [ROLE_LABEL if role is None else f"{ROLE_LABEL}={role}"]
    if run_id is not None:
        labels.append(f"{RUN_LABEL}={run_id}")
    return list(client.containers.list(all=True, filters={"label": labels}, ignore_removed=True))


def remove(client: Any, *, run_id: str) -> list[str]:
    """Remove the containers of a dead run; return their names.

    A run is dead where its host process died.
    """
    found = find(client, run_id=run_id)
    for handle in found:
        end_container(handle)
    return [str(handle.name) for handle in found]
