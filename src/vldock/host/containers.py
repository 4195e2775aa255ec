"""A thin typed wrapper over the docker SDK: containers that are labelled, watched and always removed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.container_spec import ROLE_LABEL, RUN_LABEL, Spec
from vldock.host.engine import plain

STOP_SECONDS = 10
TICK_SECONDS = 1.0
CANNOT_START = (125, 126, 127)


@dataclass(frozen=True)
class Line:
    """One line a container printed."""

    source: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class Exit:
    """How a container ended; `oom` when the kernel killed it for memory."""

    code: int
    oom: bool = False

    def __str__(self) -> str:
        if self.oom:
            return f"out of memory (exit {self.code})"
        if self.code == 137:
            return "killed (exit 137), by hand or for want of memory"
        return f"exit {self.code}"


@dataclass(frozen=True)
class Completed:
    """A command that ended inside a container."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Container:
    """A started container; made by `running`, which also removes it."""

    def __init__(self, handle: Any, output: Iterator[tuple[bytes | None, bytes | None]]) -> None:
        self.handle = handle
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(output,), daemon=True)

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self.handle.id)

    def start(self) -> None:
        """Start it and its reader; raises EnvironmentUnfit where the engine cannot."""
        from docker.errors import APIError

        try:
            self.handle.start()
        except APIError as error:
            raise cannot_start(error) from error
        self._reader.start()

    def _read(self, output: Iterator[tuple[bytes | None, bytes | None]]) -> None:
        rest = {"stdout": b"", "stderr": b""}
        try:
            for pair in output:
                for source, chunk in zip(("stdout", "stderr"), pair, strict=True):
                    *whole, rest[source] = (rest[source] + (chunk or b"")).split(b"\n")
                    self._put(source, whole)
        except OSError:
            pass  # the engine went away: wait() tells it, with its cause
        finally:
            for source, text in rest.items():
                self._put(source, [text] if text else [])
            self._lines.put(None)

    def _put(self, source: str, lines: Sequence[bytes]) -> None:
        for line in lines:
            # A progress bar rewrites its line with \r: the last state is what counts.
            text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
            self._lines.put(Line("stdout" if source == "stdout" else "stderr", text))

    def lines(self, *, tick: float = TICK_SECONDS) -> Iterator[Line | None]:
        """Yield each line as it comes and None after every `tick` seconds of silence; ends when the container does."""
        while True:
            try:
                line = self._lines.get(timeout=tick)
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            yield line

    def wait(self) -> Exit:
        """Wait for the end and tell how it came; raises EnvironmentUnfit when the engine went away."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            code = int(self.handle.wait()["StatusCode"])
            self.handle.reload()
        except (DockerException, RequestException) as error:
            raise EnvironmentUnfit(
                f"container {self.handle.name} was lost: {plain(error)}", hint="vldock engine status"
            ) from error
        return Exit(code, bool(self.handle.attrs["State"].get("OOMKilled")))

    def execute(self, argv: Sequence[str], **options: Any) -> Completed:
        """Run one more command in it, as `docker exec` would; argv is a list, for there is no shell to split a text."""
        if isinstance(argv, str):
            raise UsageError(f"execute({argv!r}): a text", expected="a list of words", hint="bash -c TEXT is a list")
        code, (out, err) = self.handle.exec_run(list(argv), demux=True, **options)
        return Completed(tuple(argv), code, (out or b"").decode(), (err or b"").decode())

    def stop(self) -> None:
        """Ask it to end, and kill it after ten seconds."""
        from docker.errors import APIError, NotFound

        try:
            self.handle.stop(timeout=STOP_SECONDS)
        except (NotFound, APIError):
            return


@contextmanager
def running(client: Any, spec: Spec) -> Iterator[Container]:
    """Start a container and yield it; stopped and removed at the end, whatever happens in between.

    Raises EnvironmentUnfit when the image is missing or the engine cannot start it (no GPU, a bad mount).
    """
    from docker.errors import APIError, ImageNotFound

    try:
        handle = client.containers.create(**spec.sdk_arguments())
    except ImageNotFound as error:
        raise EnvironmentUnfit(f"there is no image {spec.image} here", hint="vldock build") from error
    except APIError as error:
        raise cannot_start(error) from error
    try:
        # Attached before it starts, so that not one line is missed.
        output = handle.attach(stdout=True, stderr=True, stream=True, logs=True, demux=True)
        container = Container(handle, output)
        container.start()
        yield container
    except BaseException:
        _end(handle, gently=True)
        raise
    finally:
        _end(handle, gently=False)


def _end(handle: Any, *, gently: bool) -> None:
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
                f"container {handle.name} cannot be removed: {plain(error)}", hint=f"docker rm -f {handle.name}"
            ) from error


def cannot_start(error: Any) -> EnvironmentUnfit:
    """Return what an engine's refusal means to a user."""
    text = " ".join(str(getattr(error, "explanation", None) or error).split())
    hint = "vldock doctor"
    if "could not select device driver" in text or "nvidia" in text.lower():
        hint = "install the NVIDIA container toolkit and restart the engine; or --gpus none to run on the CPU"
    elif "bind source path does not exist" in text:
        hint = "create that folder on this machine, or name another"
    return EnvironmentUnfit(f"the engine cannot start the container: {text}", hint=hint)


def leftovers(client: Any, *, role: str | None = None, run_id: str | None = None) -> list[Any]:
    """Return every container, running or not, that an earlier vldock left behind."""
    labels = [ROLE_LABEL if role is None else f"{ROLE_LABEL}={role}"]
    if run_id is not None:
        labels.append(f"{RUN_LABEL}={run_id}")
    return list(client.containers.list(all=True, filters={"label": labels}))


def remove_leftovers(client: Any, *, run_id: str) -> list[str]:
    """Kill and remove the containers of a run whose host process died; return their names."""
    found = leftovers(client, run_id=run_id)
    for handle in found:
        _end(handle, gently=False)
    return [str(handle.name) for handle in found]
