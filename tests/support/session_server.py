"""Session's server and worker, with evaluators without VLMEvalKit.

The evaluators perform small actions.

    python -m support.session_server [--idle SECONDS] [--build-facts FILE]     its folder is $VLDOCK_SESSION

An evaluator does as its arguments say: `say TEXT`, `exit N`, `sleep SECONDS`, `decline REASON`, `pid`, `pool`, `model`
(ask the worker for a model, as an evaluation does before its first question).
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from vldock.common import build_digest
from vldock.image.events import make_emitter
from vldock.image.process.fast_exit import fast_exit
from vldock.image.session import evaluator, remote_model, server, server_socket, socket_paths
from vldock.image.session.worker_client import WorkerClient
from vldock.image.session.worker_process import WorkerProcess


def run_evaluator(request: dict[str, Any], descriptors: list[int], connection: socket.socket) -> NoReturn:
    """Perform the arguments' action, and exit as an evaluator does."""
    status = 1
    try:
        evaluator.set_up(request, descriptors)
        status = act(request, connection)
    except KeyboardInterrupt:
        status = 130
    finally:
        fast_exit(status, on_exit=partial(evaluator.report_exit, connection))


def act(request: dict[str, Any], connection: socket.socket) -> int:
    """Perform one action and return the exit status."""
    word, *rest = request["argv"]
    if word == "say":
        print(*rest, os.environ.get("COLOUR", ""), Path.cwd())
        print(sys.stdin.read(), end="", file=sys.stderr)
    elif word == "pid":
        print(os.getpid())
    elif word == "exit":
        return int(rest[0])
    elif word == "decline":
        return evaluator.decline(connection, rest[0])
    elif word == "model":
        worker = WorkerClient(socket_paths.make(os.environ), deaths=request["worker_deaths"])
        try:
            remote_model.RemoteModels(worker, template="vlmevalkit").request("tiny", object)
        except remote_model.Declined as reason:
            return evaluator.decline(connection, str(reason))
    elif word == "pool":
        subprocess.Popen(["sleep", "600"])
        print("pool", flush=True)
        time.sleep(600)
    elif word == "sleep":
        print("asleep", flush=True)
        time.sleep(float(rest[0]))
    return 0


def main() -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--idle", type=float)
    parser.add_argument("--build-facts", default=build_digest.BUILD_FACTS)
    args = parser.parse_args()
    server.read_build_digest = partial(build_digest.read_build_digest, args.build_facts)
    paths = socket_paths.make(os.environ)
    lock = server_socket.lock(paths)
    worker = WorkerProcess(server_socket.listen(paths.questions), [])
    worker.start()
    emit = make_emitter(sys.stdout, as_json=True)
    return server.Server(
        paths, lock=lock, worker=worker, run_evaluator=run_evaluator, emit=emit, idle_limit=args.idle
    ).run()


if __name__ == "__main__":
    sys.exit(main())
