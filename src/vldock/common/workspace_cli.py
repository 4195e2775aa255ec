"""The command line of setup_workspace_cache.py.

Exit status: 0 done; 1 something was written outside the workspace; 2 a path env files cannot carry, or wrong
arguments; 3 the root cannot be written; with --prove, the command's own where that is not 0.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from vldock.common import env_files, workspace
from vldock.common.errors import VldockError
from vldock.common.filesystem import stray_writes

SHOWN = 20


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Make a workspace, and print it.

    With --prove, also run a command in it.
    """
    words, command = _split(argv)
    args = _parser().parse_args(words)
    root = workspace.find_root(environ, args.root)
    try:
        if args.dry_run:
            return _plan(root)
        made = workspace.make(root)
        print(_told(made))
        for note in made.notes:
            print(f"note: {note}", file=sys.stderr)
        return _prove(made, command, environ) if command else 0
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code


def use_on_import(environ: MutableMapping[str, str]) -> workspace.Activation:
    """Make and use the workspace in the process that imports setup_workspace_cache.

    Warns of libraries imported before it, and of what could not be made; where nothing can be, the process ends.
    """
    try:
        activation = workspace.activate(environ)
    except VldockError as error:
        sys.exit(error.render())
    if said := activation.warning():
        warnings.warn(said, workspace.TooLate if activation.too_late else UserWarning, stacklevel=3)
    return activation


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="setup_workspace_cache.py",
        description="Make a workspace: one root for caches, models, weights, data and checkpoints.",
        usage="%(prog)s [-h] [--dry-run] [ROOT] [--prove -- COMMAND...]",
        epilog="--prove -- COMMAND...: run COMMAND in the workspace and tell whether it wrote outside it.",
    )
    default = "default: $WORKSPACE_ROOT, else the current folder (in the image: /workspace)"
    parser.add_argument("root", nargs="?", metavar="ROOT", help=default)
    parser.add_argument("--dry-run", action="store_true", help="print folders and variables; make nothing")
    parser.add_argument("--prove", action="store_true", help=argparse.SUPPRESS)
    return parser


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before `--` and the command after it."""
    words = list(argv)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _plan(root: Path) -> int:
    values = workspace.variables(root)
    text = env_files.render_setup_env(values)
    print("\n".join(f"folder {root / name}" for name in workspace.TREE))
    print(text, end="")
    return 0


def _told(made: workspace.Workspace) -> str:
    folders = ", ".join(f"{name}/" for name in workspace.FOLDERS)
    mount = shlex.quote(f"type=bind,source={made.root},target={made.root}")
    docker = f"docker    docker run --env-file {shlex.quote(str(made.env_file))} --mount {mount} ..."
    lines = (
        f"workspace {made.root}: {folders}",
        f"bash      source {shlex.quote(str(made.setup_file))}",
        *([] if workspace.in_image() else [docker]),
        "python    import setup_workspace_cache  # before transformers",
    )
    return "\n".join(lines)


def _prove(made: workspace.Workspace, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command and compare the usual places before and after.

    Returns its exit status, or 1 when it wrote outside.
    """
    where = stray_writes.watched_paths(Path(environ.get("HOME") or Path.home()), Path.cwd(), made.root)
    before = stray_writes.take_snapshot(where)
    code = subprocess.run(list(command), env={**environ, **workspace.variables(made.root)}, check=False).returncode
    after = stray_writes.take_snapshot(where)
    found = stray_writes.find_changes(before, after)
    if not found:
        print(f"proved: nothing written outside {made.root} ({len(after)} paths in {len(where.deep)} usual places)")
        return code
    print(f"error: {len(found)} written outside {made.root}:", *found[:SHOWN], sep="\n  ", file=sys.stderr)
    print("hint: a variable of setup_env.sh was overridden, or a tool has a folder of its own", file=sys.stderr)
    return code or 1
