"""`vldock session eval` and `vldock session exec`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

from vldock.common import cache_env
from vldock.common.errors import UsageError
from vldock.host.cli.options import SAMPLES
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.runs.plan import choose_benchmarks
from vldock.host.sessions import exec as session_exec
from vldock.host.sessions import find as session_find
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session
from vldock.host.util import process
from vldock.host.util.console import say


@click.command(name="eval")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[NAME] [-- RUN.PY ARGUMENTS]")
@click.option(
    "--data",
    "-d",
    "data",
    multiple=True,
    metavar="BENCHMARK[,..]",
    required=True,
    help="Repeatable; all: the 20.",
)
@click.option("--model", "-m", "models", multiple=True, help="Default: the session's, where it holds one.")
@SAMPLES
@click.option("--judge", help="run.py's --judge.")
@click.option("--engine", "engine_name", type=click.Choice(["stock", "batched"]), help="VLMEvalKit's loop, or batches.")
@click.option("--batch-size", metavar="N|auto", help="With --engine batched.")
@click.option(
    "--feature-cache", is_flag=True, help="With --engine batched: vision features from the cache and into it."
)
def eval_command(words: tuple[str, ...], **options: Any) -> int:
    """Evaluate in a session by run.py.

    The evaluation's streams and exit code are passed on. Ctrl-C cancels the evaluation and keeps its predictions (exit
    code 130); twice kills it.

    \b
    Examples:
      vldock session eval --data POPE --samples 10
      vldock session eval two --data POPE,MMStar --model llava_v1.5_13b
      vldock session eval --data POPE --engine batched --batch-size 16 -- --mode infer
    """
    name, extra = split_words(words)
    with docker_client.open_client() as client:
        found = session_find.require_running(client, name)
        argv = run_py_command(found, extra=extra, **options)
        return run_in_session(found, argv, interrupt=session_exec.end_evaluation, results=True)


def split_words(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the session's name and run.py's own arguments.

    The first argument is the name unless it is an option."""
    if words and not words[0].startswith("-"):
        return words[0], tuple(words[1:])
    return session_spec.DEFAULT, tuple(words)


def run_py_command(
    found: Session,
    *,
    data: Sequence[str],
    models: Sequence[str],
    samples: int | None,
    judge: str | None,
    engine_name: str | None,
    batch_size: str | None,
    feature_cache: bool,
    extra: Sequence[str],
) -> list[str]:
    """Return the command of an evaluation.

    It is written as typed after `docker exec CONTAINER`. Raises UsageError for an unknown benchmark, and where no
    model is named and the session does not hold just one.
    """
    if not models and len(found.models) != 1:
        held = ", ".join(found.models) or "none"
        raise UsageError(f"no --model, and session {found.name} was started with {held}", expected="--model NAME")
    words = ["--data", *choose_benchmarks(",".join(data)), "--model", *(models or found.models)]
    pairs = (("--limit", samples), ("--judge", judge), ("--engine", engine_name), ("--batch-size", batch_size))
    words += [word for option, value in pairs if value is not None for word in (option, str(value))]
    words += ["--feature-cache"] if feature_cache else []
    return ["python", session_spec.RUN_PY, *words, *extra]


def run_in_session(found: Session, argv: Sequence[str], *, interrupt: session_exec.Interrupt, results: bool) -> int:
    """Run a command in a session; return its exit code.

    The command uses this process's streams; the place of its results is printed.
    """
    say(process.shell_text(["docker", "exec", found.container, *argv]))
    size = {"COLUMNS": str(shutil.get_terminal_size().columns)} if sys.stderr.isatty() else {}
    code = session_exec.run(found.handle, argv, request_id=session_exec.new_request_id(), env=size, interrupt=interrupt)
    if results and "--work-dir" not in argv:
        say(f"results: {found.outputs or f'{cache_env.OUTPUTS} in the container, lost with it'}")
    return code


@click.command(name="exec", context_settings={"ignore_unknown_options": False})
@click.argument("name")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def exec_command(name: str, argv: tuple[str, ...]) -> int:
    """Run a command in a session's container.

    It has the terminal where there is one; else Ctrl-C ends it.

    \b
    Examples:
      vldock session exec default -- bash
      vldock session exec two -- nvidia-smi
      vldock session exec default -- python /workspace/VLMEvalKit/run.py --data POPE --model llava_v1.5_7b
    """
    with docker_client.open_client() as client:
        found = session_find.require_running(client, name)
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            return run_in_session(found, argv, interrupt=session_exec.end_command, results=False)
    return process.run_attached([docker_cli.require_any().path, "exec", "-it", found.container, *argv])
