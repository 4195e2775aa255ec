"""Executor: where jobs run; here, containers of this machine.

The dispatcher knows the protocols only, so a cluster's scheduler can be another executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from vldock.host.containers import lifecycle
from vldock.host.containers.lifecycle import Container, Exit, Line
from vldock.host.containers.spec import Spec
from vldock.host.runs.devices import Device


@dataclass(frozen=True)
class DeviceJob:
    """One model on one device.

    Cells are given while it runs. `log` names its log, None is the model's own.
    """

    model: str
    device: Device
    log: str | None = None


class StartedJob(Protocol):
    """A started job."""

    def give(self, benchmark: str) -> None:
        """Hand over one more cell; a dead job does not take it."""

    def finish(self) -> None:
        """Announce the last cell: the job ends after it."""

    def lines(self) -> Iterator[Line | None]:
        """Yield lines as they come, until the job has ended.

        None stands for a while of silence.
        """

    def wait(self) -> Exit:
        """Return how it ended; raises EnvironmentUnfit when that can no longer be known."""


class Executor(Protocol):
    """Starter of jobs."""

    def start(self, job: DeviceJob) -> AbstractContextManager[StartedJob]:
        """Start a job; leaving the context ends it.

        It ends gently where an exception passes through. Entering raises EnvironmentUnfit where the device or the
        machine cannot.
        """


@dataclass(frozen=True)
class LocalContainers:
    """Executor of this machine: a container for each job.

    Containers receive cells by standard input.
    """

    client: Any
    spec: Callable[[DeviceJob], Spec]

    @contextmanager
    def start(self, job: DeviceJob) -> Iterator[StartedJob]:
        """Start the job's container; it is removed at the end."""
        with lifecycle.run_container(self.client, self.spec(job)) as container:
            yield ContainerJob(container)


@dataclass(frozen=True)
class ContainerJob:
    """A container of `python -m vldock.image evaluate --data -`.

    A benchmark a line, an empty line at the end.
    """

    container: Container

    def give(self, benchmark: str) -> None:
        """Write the benchmark's name."""
        self.container.write_line(benchmark)

    def finish(self) -> None:
        """Write the empty line."""
        self.container.write_line("")

    def lines(self) -> Iterator[Line | None]:
        """Yield its lines."""
        return self.container.lines()

    def wait(self) -> Exit:
        """Return how it ended."""
        return self.container.wait()
