"""VLMEvalKit's run.py in this image: same arguments, prepared environment, meaningful exit status.

Exit status: 0 all combinations evaluated, 1 one failed, 2 wrong arguments, 3 unfit environment, 4 refused input,
130 interrupted.

Modules needed only without a session are imported where they are used: every run in a session pays for the others.
"""

from __future__ import annotations

import os
import sys

from vldock.common.errors import EnvironmentUnfit, EvaluationFailed, VldockError
from vldock.image.session import client, socket_paths
from vldock.image.startup import foreign_python
from vldock.image.vlmeval_hooks.models import own_models
from vldock.image.vlmeval_hooks.run import typed_names

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run `run.py` with these arguments and return the exit status.

    `argv` does not include the program's name.
    """
    try:
        return _run(argv)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; finished predictions are kept, the same command continues", file=sys.stderr)
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    foreign_python.refuse_foreign(os.environ)
    argv = typed_names.resolve(own_models.extract_folders(argv, os.environ), os.environ)
    session = socket_paths.exists(os.environ)
    if session and client.may_attach(argv, os.environ):
        status = client.attach(argv, os.environ)
        if status is not None:
            return status
    check_arguments(argv)
    status = _run_here(argv)
    if status <= EvaluationFailed.exit_code and not session and client.may_attach(argv, os.environ) and _is_exec():
        print("hint: on the host, `vldock session start` keeps the model loaded between runs", file=sys.stderr)
    return status


def _run_here(argv: list[str]) -> int:
    from vldock.image.startup import prepare as startup

    startup.prepare()
    sys.argv = ["run.py", *argv]
    from vlmeval import run

    own_models.register(os.environ)
    return int(run.main() or 0)


def _is_exec() -> bool:
    """Return whether the container was started for something else, and outlives this run."""
    try:
        with open("/proc/1/cmdline", "rb") as stream:  # noqa: PTH123
            return b"run.py" not in stream.read()
    except OSError:
        return False


def check_arguments(argv: list[str]) -> None:
    """Parse `argv` with VLMEvalKit's own parser.

    --help and wrong options are thereby answered at once.
    The parser's source is extracted from vlmeval/run.py: importing that module takes five seconds. Where upstream's
    source has another shape, the real run checks the arguments. Raises SystemExit as argparse does.
    """
    parse = _upstream_parser()
    if parse is None:
        return
    saved, sys.argv = sys.argv, ["run.py", *argv]
    try:
        arguments = parse()
    except NameError:
        return
    finally:
        sys.argv = saved
    if not arguments.config and not (arguments.data and arguments.model):
        print("error: --data and --model are needed (or --config); run.py --help lists the rest", file=sys.stderr)
        raise SystemExit(2)


def _upstream_parser() -> Callable[[], Any] | None:
    import argparse
    import ast
    import importlib.util
    import logging
    from pathlib import Path

    spec = importlib.util.find_spec("vlmeval")
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentUnfit(
            "VLMEvalKit is not on Python's path",
            expected="the package vlmeval, as installed in the image",
            hint="run it in the container: docker run ... python /workspace/VLMEvalKit/run.py",
        )
    source = Path(spec.submodule_search_locations[0], "run.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    functions = {"parse_args", "parse_reuse_aux_arg"}
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in functions]
    names: dict[str, Any] = {"argparse": argparse, "os": os, "logger": logging.getLogger("vldock.run")}
    exec(compile(tree, str(source), "exec"), names)
    parser: Callable[[], Any] | None = names.get("parse_args")
    return parser
