"""Containers for tests/docker: labelled with the test session, bounded in time, always removed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.host.containers import lifecycle
from vldock.host.containers.lifecycle import Completed
from vldock.host.containers.spec import Mount, Spec

ROLE = "test"
SECONDS = 1800  # a ceiling; a busy machine is never near it


class TrackedContainer:
    """Running container for a test's commands.

    `inner` is the harness's own.
    """

    def __init__(self, inner: lifecycle.Container) -> None:
        self.inner = inner

    @property
    def id(self) -> str:
        """The container's id."""
        return self.inner.id

    @property
    def handle(self) -> Any:
        """The container, as the SDK has it."""
        return self.inner.handle

    def exec(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        timeout: float = SECONDS,
    ) -> Completed:
        """Run argv as `docker exec` would.

        `timeout` runs inside, for docker-py has no limit.
        """
        limited = ["timeout", "-k", "5", str(timeout), *argv]
        return self.inner.execute(limited, environment=dict(environment or {}), user=user)

    def diff(self) -> list[dict[str, Any]]:
        """Return the changes of the file system, as `docker diff` does."""
        return self.handle.diff() or []

    def session_status(self) -> dict[str, Any]:
        """Return the status of the session in the container.

        It is an empty dict while the session does not answer.
        """
        printed = self.exec(["python", "-m", "vldock.image", "session", "status", "--json"]).stdout
        return dict(json.loads(printed)) if printed else {}


def make_spec(
    image: str,
    argv: Sequence[str],
    *,
    run_id: str,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    read_only: bool = False,
    tmpfs: Mapping[str, str] | None = None,
    mounts: Mapping[Path | str, str] | None = None,
    entrypoint: str | None = None,
    network: str | None = "none",
    gpus: str = "none",
    init: bool = False,
    memory: int | None = None,
) -> Spec:
    """Return the spec of a container of this test session.

    A mount's target may end in ':ro'.
    """
    return Spec(
        image=image,
        argv=tuple(argv),
        role=ROLE,
        run_id=run_id,
        env=environment or {},
        mounts=tuple(
            Mount(Path(source).resolve(), target.removesuffix(":ro"), read_only=target.endswith(":ro"))
            for source, target in (mounts or {}).items()
        ),
        user=user,
        gpus=gpus,
        network=network,
        read_only=read_only,
        tmpfs=tuple(tmpfs or ()),
        entrypoint=None if entrypoint is None else (entrypoint,),
        init=init,
        memory=memory,
    )


@contextmanager
def running(client: Any, spec: Spec) -> Iterator[TrackedContainer]:
    """Yield a running container and remove it."""
    with lifecycle.run_container(client, spec) as container:
        yield TrackedContainer(container)


def run_to_end(client: Any, spec: Spec, *, timeout: float = SECONDS) -> Completed:
    """Run a container to its end; return exit code and output.

    Raises AssertionError after `timeout` seconds.
    """
    out: dict[str, list[str]] = {"stdout": [], "stderr": []}
    deadline = time.monotonic() + timeout
    with lifecycle.run_container(client, spec) as container:
        for line in container.lines():
            if line is not None:
                out[line.source].append(line.text)
            assert time.monotonic() < deadline, f"{spec.argv} ran longer than {timeout} s: {out}"
        ended = container.wait()
    return Completed(spec.argv, ended.code, "\n".join(out["stdout"]), "\n".join(out["stderr"]))


@contextmanager
def modified_image(client: Any, image: str, argv: Sequence[str], *, run_id: str) -> Iterator[str]:
    """Yield an image committed after root ran a command in `image`; removed afterwards."""
    with running(client, make_spec(image, ["sleep", "60"], run_id=run_id)) as container:
        done = container.exec(argv, user="0")
        assert done.exit_code == 0, done.text
        name = str(container.handle.commit(changes=['CMD ["true"]']).id)
    yield name
    client.images.remove(name, force=True)
