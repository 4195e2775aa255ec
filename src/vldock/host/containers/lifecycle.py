"""Containers over the docker SDK: labelled, watched and always removed."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.containers.cleanup import STOP_SECONDS, end_container
from vldock.host.containers.spec import Spec
from vldock.host.containers.streams import Source, read_frames
from vldock.host.errors import error_text

TICK_SECONDS = 1.0


ATTACH = {"stdout": 1, "stderr": 1, "stream": 1, "logs": 1}


@dataclass(frozen=True)
class Line:
    """One line printed by a container."""

    source: Source
    text: str


@dataclass(frozen=True)
class Exit:
    """The end of a container; `oom` when the kernel killed it for memory."""

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

    @property
    def text(self) -> str:
        """Both streams, one after the other."""
        return "\n".join(filter(None, (self.stdout, self.stderr)))


class Container:
    """A started container; `running` makes and removes it."""

    def __init__(self, handle: Any, sock: Any) -> None:
        self.handle = handle
        self._sock = sock
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(read_frames(sock),), daemon=True)

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
            raise start_error(error) from error
        finally:
            self._reader.start()

    def join(self) -> None:
        """Wait for the reader; it ends with the container."""
        self._reader.join(timeout=STOP_SECONDS)

    def _read(self, output: Iterator[tuple[Source, bytes]]) -> None:
        rest: dict[Source, bytes] = {"stdout": b"", "stderr": b""}
        try:
            for source, chunk in output:
                *whole, rest[source] = (rest[source] + chunk).split(b"\n")
                self._put(source, whole)
        finally:
            for source, text in rest.items():
                self._put(source, [text] if text else [])
            self._lines.put(None)

    def _put(self, source: Source, lines: Sequence[bytes]) -> None:
        for line in lines:
            # A progress bar rewrites its line with \r: the last state is what counts.
            self._lines.put(Line(source, line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]))

    def lines(self, *, tick: float = TICK_SECONDS) -> Iterator[Line | None]:
        """Yield each line, and None after every `tick` seconds of silence.

        Ends when the container does.
        """
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
        """Wait for the end and return it.

        Raises EnvironmentUnfit when the engine went away.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            code = int(self.handle.wait()["StatusCode"])
            self.handle.reload()
        except (DockerException, RequestException) as error:
            raise EnvironmentUnfit(
                f"container {self.handle.name} was lost: {error_text(error)}", hint="vldock engine status"
            ) from error
        return Exit(code, bool(self.handle.attrs["State"].get("OOMKilled")))

    def execute(self, argv: Sequence[str], **options: Any) -> Completed:
        """Run one more command in it, as `docker exec` would.

        argv is a list, for there is no shell to split a text.
        """
        if isinstance(argv, str):
            raise UsageError(f"execute({argv!r}): a text", expected="a list of words", hint="bash -c TEXT is a list")
        api = self.handle.client.api
        made = api.exec_create(self.id, list(argv), **options)["Id"]
        out: dict[Source, bytes] = {"stdout": b"", "stderr": b""}
        for source, chunk in read_frames(api.exec_start(made, socket=True)):
            out[source] += chunk
        code = int(api.exec_inspect(made)["ExitCode"])
        return Completed(
            tuple(argv), code, out["stdout"].decode("utf-8", "replace"), out["stderr"].decode("utf-8", "replace")
        )

    def write_line(self, line: str) -> None:
        """Write one line to its standard input (Spec.stdin).

        A container that has ended does not hear it.
        """
        with contextlib.suppress(OSError):
            getattr(self._sock, "_sock", self._sock).sendall(f"{line}\n".encode())

    def stop(self) -> None:
        """Ask it to end, and kill it after ten seconds."""
        end_container(self.handle, gently=True)


def run_to_end(client: Any, spec: Spec) -> Completed:
    """Run a container to its end and return its output."""
    out: dict[Source, list[str]] = {"stdout": [], "stderr": []}
    with run_container(client, spec) as container:
        for line in container.lines():
            if line is not None:
                out[line.source].append(line.text)
        ended = container.wait()
    return Completed(spec.argv, ended.code, "\n".join(out["stdout"]), "\n".join(out["stderr"]))


@contextmanager
def run_container(client: Any, spec: Spec) -> Iterator[Container]:
    """Start a container and yield it; stop and remove it at the end.

    Raises EnvironmentUnfit when the image is missing or the engine cannot start it (no GPU, a bad mount).
    """
    handle = create(client, spec)
    try:
        # Attached before it starts, so that not one line is missed.
        container = Container(handle, client.api.attach_socket(handle.id, ATTACH | {"stdin": int(spec.stdin)}))
        try:
            container.start()
            yield container
        except BaseException:
            end_container(handle, gently=True)
            raise
    finally:
        end_container(handle)
        container.join()


def create(client: Any, spec: Spec) -> Any:
    """Create a container without starting it; returns the SDK's object.

    Raises EnvironmentUnfit when the image is missing or the engine refuses.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        return client.containers.create(**spec.sdk_arguments())
    except ImageNotFound as error:
        raise EnvironmentUnfit(f"there is no image {spec.image} here", hint="vldock build") from error
    except APIError as error:
        raise start_error(error) from error


def start_error(error: Any) -> EnvironmentUnfit:
    """Return the error for an engine's refusal, with its remedy."""
    text = " ".join(str(getattr(error, "explanation", None) or error).split())
    hint = "vldock doctor"
    if "could not select device driver" in text or "nvidia" in text.lower():
        hint = "install the NVIDIA container toolkit and restart the engine; or --gpus none to run on the CPU"
    elif "bind source path does not exist" in text:
        hint = "create that folder on this machine, or name another"
    return EnvironmentUnfit(f"the engine cannot start the container: {text}", hint=hint)
