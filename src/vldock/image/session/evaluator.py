"""A fork of the server becomes run.py: the client's streams, folder, environment and arguments; then VLMEvalKit."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from vldock.common.errors import VldockError
from vldock.common.image_paths import TOKEN_VARIABLES
from vldock.common.prompt_style import UPSTREAM
from vldock.image.process.fast_exit import fast_exit
from vldock.image.session import messages, remote_model
from vldock.image.session.evaluator_pool import STOPPING
from vldock.image.session.socket_paths import SocketPaths
from vldock.image.session.worker_client import WorkerClient
from vldock.image.startup import prepare as startup
from vldock.image.timing import switch as timing_switch

# Read by libraries as they are imported: an evaluator inherits what the server's import saw.
AT_IMPORT = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "XDG_")
AT_IMPORT_TOO = ("PYTHONPATH", "NLTK_DATA", "VLDOCK_STANDIN", "VLDOCK_DEVICE", "VLDOCK_DTYPE", "VLDOCK_EAGER_IMPORTS")
IGNORED = ("PYTORCH_NVML_BASED_CUDA_CHECK", *TOKEN_VARIABLES)
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def become(
    request: dict[str, Any],
    descriptors: list[int],
    connection: socket.socket,
    *,
    place: SocketPaths,
    seen: Mapping[str, str],
) -> NoReturn:
    """Evaluate what the client asked, in this fork, and end the process with run.py's exit status."""
    status = 1
    try:
        _settle(request, descriptors)
        status = _run(request, connection, place, seen)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        status = error.exit_code
    except KeyboardInterrupt:
        status = 130
    except BaseException:  # noqa: BLE001  a fork must never go on as the server
        traceback.print_exc()
    finally:
        fast_exit(status, told=partial(_told, connection))


def _told(connection: socket.socket, status: int) -> None:
    """Let go of the client's streams and tell it how the run ended; the server, which reaps us, would only later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    with suppress(OSError):  # a client that is gone, or loads in its own process
        messages.send(connection, {"exit": status})


def decline(connection: socket.socket, reason: str) -> int:
    """Leave the run to its client, which hangs up then: let no signal for that disturb our end. Return our status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    messages.send(connection, {"declined": reason})
    return 0


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of variables that were read at import and are others now."""
    names = {name for name in {*before, *now} if name.startswith(AT_IMPORT) or name in AT_IMPORT_TOO}
    return sorted(name for name in names - set(IGNORED) if before.get(name) != now.get(name))


def _settle(request: dict[str, Any], descriptors: list[int]) -> None:
    if os.getsid(0) != os.getpid():  # one that waited has its own already
        os.setsid()
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != request["server"]:
        raise RuntimeError("the session ended as this began")
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    os.environ.clear()
    os.environ.update(request["env"])
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    tempfile.tempdir = None
    timing_switch.begin_again()
    sys.argv = ["run.py", *request["argv"]]


def _run(request: dict[str, Any], connection: socket.socket, place: SocketPaths, seen: Mapping[str, str]) -> int:
    startup.prepare(parent=seen)
    if other := differences(seen, os.environ):
        return decline(connection, f"{', '.join(other)} differs from when the session was started")
    import vlmeval
    from vlmeval import run as upstream

    from vldock.image.vlmeval_hooks.files import table_check
    from vldock.image.vlmeval_hooks.models import own_models
    from vldock.image.vlmeval_hooks.provenance import prompts
    from vldock.image.vlmeval_hooks.run import console

    vlmeval.load_env()
    own_models.register(os.environ)
    template = seen.get(prompts.VARIABLE, "").strip() or UPSTREAM
    models = remote_model.Models(WorkerClient(place, deaths=request["worker_deaths"]), template=template)

    def parse() -> Any:
        args = upstream.parse_args()
        if not table_check.refusals(args):
            models.prepare(args)
        return args

    try:
        return int(console.run_main(parse, upstream.run_local_mode, upstream.run_api_mode) or 0)
    except remote_model.Declined as reason:
        return decline(connection, str(reason))
