"""Evaluator: a fork of the server; runs run.py for a client.

It takes over the client's streams, folder and environment.
"""

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
from typing import TYPE_CHECKING, Any, NoReturn

from vldock.common.errors import VldockError
from vldock.common.image_paths import TOKEN_VARIABLES
from vldock.common.inference_options import TOWER_VARIABLE
from vldock.common.prompt_style import UPSTREAM
from vldock.image.process.fast_exit import fast_exit
from vldock.image.session import message_stream
from vldock.image.session.evaluator_pool import STOPPING
from vldock.image.session.remote_model import Declined, RemoteModels
from vldock.image.session.socket_paths import SocketPaths
from vldock.image.session.worker_client import WorkerClient
from vldock.image.startup import prepare as startup
from vldock.image.timing import switch as timing_switch

if TYPE_CHECKING:
    from vldock.image.session.messages import RunRequest

# Read by libraries at import: an evaluator inherits the values of the server's import.
AT_IMPORT = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "XDG_")
AT_IMPORT_TOO = (
    *("PYTHONPATH", "NLTK_DATA", "VLDOCK_STANDIN"),
    *("VLDOCK_DEVICE", "VLDOCK_DEVICE_MAP", "VLDOCK_DTYPE", "VLDOCK_EAGER_IMPORTS", TOWER_VARIABLE),
)
IGNORED = ("PYTORCH_NVML_BASED_CUDA_CHECK", *TOKEN_VARIABLES)
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def run(
    request: RunRequest,
    descriptors: list[int],
    connection: socket.socket,
    *,
    paths: SocketPaths,
    server_environ: Mapping[str, str],
) -> NoReturn:
    """Run the client's request in this fork and end the process.

    The exit status is run.py's.
    """
    status = 1
    try:
        set_up(request, descriptors)
        status = _evaluate(request, connection, paths, server_environ)
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
        fast_exit(status, on_exit=partial(report_exit, connection))


def report_exit(connection: socket.socket, status: int) -> None:
    """Close the client's streams and send it the exit status.

    Both happen before the server reaps this process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    with suppress(OSError):  # a client that is gone, or was declined
        message_stream.send(connection, {"exit": status})


def decline(connection: socket.socket, reason: str) -> int:
    """Decline the run and return the exit status.

    Signals are blocked, since the client then hangs up.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    message_stream.send(connection, {"declined": reason})
    return 0


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of changed variables.

    They were read at import and differ now.
    """
    names = {name for name in {*before, *now} if name.startswith(AT_IMPORT) or name in AT_IMPORT_TOO}
    return sorted(name for name in names - set(IGNORED) if before.get(name) != now.get(name))


def set_up(request: RunRequest, descriptors: list[int]) -> None:
    """Take over the client's streams, signals, environment, umask, folder and arguments."""
    if os.getsid(0) != os.getpid():  # the spare evaluator has its own already
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
    timing_switch.restart()
    sys.argv = ["run.py", *request["argv"]]


def _evaluate(
    request: RunRequest, connection: socket.socket, paths: SocketPaths, server_environ: Mapping[str, str]
) -> int:
    startup.prepare(parent=server_environ)
    if names := differences(server_environ, os.environ):
        return decline(connection, f"{', '.join(names)} differs from when the session was started")
    import vlmeval
    from vlmeval import run as upstream

    from vldock.image.vlmeval_hooks.files import table_check
    from vldock.image.vlmeval_hooks.models import own_models
    from vldock.image.vlmeval_hooks.provenance import prompts
    from vldock.image.vlmeval_hooks.run import console

    vlmeval.load_env()
    own_models.register(os.environ)
    template = server_environ.get(prompts.VARIABLE, "").strip() or UPSTREAM
    models = RemoteModels(WorkerClient(paths, deaths=request["worker_deaths"]), template=template)

    def parse() -> Any:
        args = upstream.parse_args()
        if not table_check.check_run(args):
            models.prepare(args)
        return args

    try:
        return int(console.run_main(parse, upstream.run_local_mode, upstream.run_api_mode) or 0)
    except Declined as reason:
        return decline(connection, str(reason))
