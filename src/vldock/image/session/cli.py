"""`python -m vldock.image session`: serve, inspect, control and stop this user's session."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from vldock.common import standin_choice
from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.common.names import spellings
from vldock.image.session import client, message_stream, socket_paths
from vldock.image.startup import foreign_python

if TYPE_CHECKING:
    from vldock.image.session.messages import ControlRequest, SessionStatus

GONE = 3  # no session answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    serve = commands.add_parser("serve", help="serve in the foreground; events are JSON lines")
    serve.add_argument("--model", action="append", default=[], help="load this model at the start; may be repeated")
    serve.add_argument("--idle", type=float, help="end after this many seconds without a run (default: never)")
    status = commands.add_parser("status", help="models, runs, memory; exit 0 ready, 3 no session or not ready")
    status.add_argument("--json", action="store_true", help="one JSON object")
    for name, text in (("load", "load a model now"), ("unload", "unload a model that no run uses")):
        commands.add_parser(name, help=text).add_argument("model")
    commands.add_parser("cancel", help="end a run as Ctrl-C does; exit 1 if there is none").add_argument("id")
    commands.add_parser("stop", help="end the session; its runs end as with Ctrl-C, predictions are kept")


def main(args: argparse.Namespace) -> int:
    """Run one sub-command and return its exit status."""
    if args.action == "serve":
        args.model = spellings.resolve_all(args.model, spellings.resolve_model)
        return _serve(args)
    if args.action == "status":
        return _status(as_json=args.json)
    if args.action in ("load", "unload"):
        return _load_or_unload(args.action, *spellings.resolve_all([args.model], spellings.resolve_model))
    if args.action == "cancel":
        cancelled = _ask({"op": "cancel", "id": args.id})["cancelled"]
        print(f"session: {cancelled} cancelled", file=sys.stderr)
        return 0 if cancelled else 1
    print(f"session: stopping, {_ask({'op': 'stop'})['running']} running", file=sys.stderr)
    return 0


def _serve(args: argparse.Namespace) -> int:
    foreign_python.refuse_foreign(os.environ)
    if args.idle is not None and args.idle <= 0:
        raise UsageError(f"--idle {args.idle:g}", expected="a positive number of seconds")
    if standin_choice.read_choice(os.environ):
        standin_choice.require(args.model)
    from vldock.image.session import bootstrap

    return bootstrap.serve(models=args.model, idle_limit=args.idle)


def _ask(request: ControlRequest) -> Any:
    """Return the session's answer to a request.

    Raises EnvironmentUnfit where no session answers, or one of another image.
    """
    answer = client.ask(os.environ, request)
    if answer is None:
        raise _no_session()
    return answer


def _no_session() -> EnvironmentUnfit:
    return EnvironmentUnfit(
        f"no session of uid {os.geteuid()} answers here",
        expected="a container started with: vldock session start",
        hint="on the host: vldock session ls",
    )


def _status(*, as_json: bool) -> int:
    status: SessionStatus = _ask({"op": "status"})
    print(json.dumps(status, indent=2) if as_json else "\n".join(_lines(status)))
    return 0 if status["state"] == "ready" else GONE


def _lines(status: SessionStatus) -> list[str]:
    lines = [f"session {status['state']} since {status['started']}, {status['evals']} runs so far"]
    if status["worker_cause"]:
        ended = "given up" if status["state"] == "failed" else "started again"
        lines.append(f"  worker died: {status['worker_cause']} ({ended}, {status['worker_restarts']} deaths so far)")
    for model in status["models"]:
        about = model["error"] or (
            f"{model['device']}, {model['dtype']}, {model['attention']}, {model['answers']} answers"
            if model["state"] == "ready"
            else ""
        )
        lines.append(f"  {model['name']}  {model['state']}  {about}".rstrip())
    lines += [
        f"  running {run['id']} since {run['started']}: run.py {' '.join(run['argv'])}" for run in status["running"]
    ]
    return lines


def _load_or_unload(action: str, model: str) -> int:
    """Load or unload a model in the worker, printing its progress."""
    _ask({"op": "status"})  # refuses a session of another image
    try:
        stream = message_stream.connect(socket_paths.make(os.environ).questions)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _no_session() from error
    stream.send({"op": action, "name": model})
    while "say" in (answer := stream.receive()):
        print(f"session: {answer['say']}", file=sys.stderr, flush=True)
    if "raised" in answer:
        raise answer["raised"]
    if action == "unload" and not answer["unloaded"]:
        raise InputRefused(
            f"{model} is {'being used' if answer['busy'] else 'not loaded'}",
            expected="a loaded model nobody uses now",
            hint="python -m vldock.image session status",
        )
    print(f"session: {model} {action}ed", file=sys.stderr)
    return 0
