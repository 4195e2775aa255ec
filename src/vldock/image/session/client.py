"""run.py's side of a session: hands over arguments, streams and signals.

Standard library only, and little of it: every `docker exec` pays for these imports.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import contextmanager

from vldock.common.build_digest import read_build_digest
from vldock.common.errors import EnvironmentUnfit, EvaluationFailed, VldockError
from vldock.image.session import message_stream, socket_paths

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Any

    from vldock.image.session.messages import ControlRequest, RunRequest

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
NO = ("0", "no", "false", "off")
DISTRIBUTED = ("RANK", "WORLD_SIZE")  # torchrun's ranks load their own models


def may_attach(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Return whether this run.py may use a session."""
    if "--no-worker" in argv or environ.get(socket_paths.WORKER, "").strip().lower() in NO:
        return False
    return not any(name in environ for name in DISTRIBUTED)


def attach(argv: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Run `run.py argv` in the session and return its exit status.

    None where there is no session, or it declines.
    Raises EvaluationFailed when the session ends during the run.
    """
    stream = _connect(environ)
    if stream is None:
        return None
    try:
        with _signals_forwarded(stream):
            with _streams() as descriptors:
                stream.send(_request(argv, environ), descriptors=descriptors)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
            return _follow(stream)
    except (OSError, message_stream.Closed) as error:
        raise EvaluationFailed(
            f"the session ended while this ran ({error})",
            expected="a session that lives as long as its evaluations",
            hint="the same command continues from the predictions that were saved",
        ) from error
    finally:
        stream.close()


def ask(environ: Mapping[str, str], request: ControlRequest) -> Any:
    """Send one request to the session and return its answer.

    None where no session answers.
    Raises EnvironmentUnfit where the session is of another image.
    """
    stream = _connect(environ)
    if stream is None:
        return None
    try:
        stream.send({**request, "build": read_build_digest()})
        answer = stream.receive()
    except (OSError, message_stream.Closed):
        return None
    finally:
        stream.close()
    if "declined" in answer:
        raise EnvironmentUnfit(answer["declined"], expected="a session of this image")
    return answer


def _connect(environ: Mapping[str, str]) -> message_stream.Stream | None:
    """Return a connection to this user's session, or None.

    A refusal is printed, as it costs a model load.
    """
    try:
        return message_stream.connect(socket_paths.make(environ).runs)
    except FileNotFoundError:
        return None
    except ConnectionRefusedError:
        _say("a session was here and is gone: loading in this process")
    except (PermissionError, VldockError) as error:
        _say(f"not used: {getattr(error, 'message', error)}")
    return None


def _request(argv: Sequence[str], environ: Mapping[str, str]) -> RunRequest:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "op": "run",
        "build": read_build_digest(),
        "argv": list(argv),
        "cwd": os.getcwd(),  # noqa: PTH109  a string, and Path.cwd would import more
        "env": dict(environ),
        "umask": umask,
        "request": environ.get(socket_paths.REQUEST),
        "pid": os.getpid(),
    }


def _follow(stream: message_stream.Stream) -> int | None:
    while True:
        message = stream.receive()
        if "declined" in message:
            _say(f"{message['declined']}: loading in this process")
            return None
        if "exit" in message:
            return int(message["exit"])


@contextmanager
def _streams() -> Iterator[list[int]]:
    """Yield the descriptors of standard input, output and error.

    /dev/null stands for a closed one.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        yield [number if _is_open(number) else nothing for number in (0, 1, 2)]
    finally:
        os.close(nothing)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@contextmanager
def _signals_forwarded(stream: message_stream.Stream) -> Iterator[None]:
    """Forward signals to the evaluator, each time they arrive.

    The evaluator ends as run.py does.
    They stay blocked until the caller has sent its request and unblocks them: before that there is no evaluator.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        try:
            stream.send({"op": "signal", "number": number})
        except OSError:
            stream.connection.shutdown(socket.SHUT_RDWR)

    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    handlers = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def _say(line: str) -> None:
    print(f"session: {line}", file=sys.stderr, flush=True)
