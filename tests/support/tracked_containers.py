"""Containers for tests/docker: labelled with the test session, bounded in time, always removed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.host.containers.lifecycle import Completed, Container, running
from vldock.host.containers.spec import Mount, Spec

ROLE = "test"
SECONDS = 1800  # a ceiling; a busy machine is never near it


class Box:
    """A running container in which a test runs commands."""

    def __init__(self, container: Container) -> None:
        self.container = container

    @property
    def id(self) -> str:
        """The container's id."""
        return self.container.id

    def exec(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        timeout: float = SECONDS,
    ) -> Completed:
        """Run argv as `docker exec` would; the limit is kept inside, for docker-py has none."""
        limited = ["timeout", "-k", "5", str(timeout), *argv]
        return self.container.execute(limited, environment=dict(environment or {}), user=user)

    def diff(self) -> list[dict[str, Any]]:
        """Return what changed on its file system, as `docker diff` does."""
        return self.container.handle.diff() or []

    def stop(self) -> None:
        """Stop it, as `docker stop` does."""
        self.container.stop()


def spec(
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
) -> Spec:
    """Return a container of this test session: no network unless asked for; a mount's target may end in ':ro'."""
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
    )


@contextmanager
def box(client: Any, wanted: Spec) -> Iterator[Box]:
    """Yield a running container and remove it."""
    with running(client, wanted) as container:
        yield Box(container)


def completed(client: Any, wanted: Spec, *, timeout: float = SECONDS) -> Completed:
    """Run a container to its end and return what it said; AssertionError when `timeout` seconds pass."""
    out: dict[str, list[str]] = {"stdout": [], "stderr": []}
    deadline = time.monotonic() + timeout
    with running(client, wanted) as container:
        for line in container.lines():
            if line is not None:
                out[line.source].append(line.text)
            assert time.monotonic() < deadline, f"{wanted.argv} ran longer than {timeout} s: {out}"
        ended = container.wait()
    return Completed(wanted.argv, ended.code, "\n".join(out["stdout"]), "\n".join(out["stderr"]))


@contextmanager
def edited(client: Any, image: str, argv: Sequence[str], *, run_id: str) -> Iterator[str]:
    """Yield an image that is `image` after a command of root's; removed afterwards."""
    with box(client, spec(image, ["sleep", "60"], run_id=run_id)) as made:
        done = made.exec(argv, user="0")
        assert done.exit_code == 0, done.text
        name = str(made.container.handle.commit(changes=['CMD ["true"]']).id)
    yield name
    client.images.remove(name, force=True)
