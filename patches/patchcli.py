"""Command line shared by every patch_*.py and apply_all.py: plan, print, write, verify."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchlib import EXIT_NOT_APPLIED, EXIT_REFUSED, Patch, PatchRefusedError, Plan, State, plan
from patchwrite import execute

VERIFY_SECONDS = 300


@dataclass(frozen=True)
class Options:
    """Options of the command line, roots aside."""

    check: bool
    dry_run: bool
    as_json: bool
    verify: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options common to a single patch and to all of them."""
    parser.add_argument("--check", action="store_true", help="report only: 0 applied, 1 not applied, 4 unknown file")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written, write nothing")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--no-verify", action="store_true", help="do not try the patched package in a fresh process")


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the common options of a parsed command line."""
    return Options(arguments.check, arguments.dry_run, arguments.json, not arguments.no_verify)


def siblings(patch: Patch) -> list[Patch]:
    """Return all patches of the package of `patch`.

    They are in the order of their application.
    """
    registry = importlib.import_module("registry")
    return [other for other in registry.ALL if other.package is patch.package]


def main(patch: Patch, argv: Sequence[str] | None = None) -> int:
    """Run one patch from its command line and return the exit code."""
    parser = argparse.ArgumentParser(description=f"{patch.package.label}: {patch.reason}")
    parser.add_argument("--root", type=Path, default=Path(patch.package.root), help="folder that holds the package")
    add_options(parser)
    arguments = parser.parse_args(argv)
    return run([(patch, arguments.root)], options_of(arguments))


def run(targets: Sequence[tuple[Patch, Path]], options: Options) -> int:
    """Plan every patch, then write and verify; return the exit code.

    With --check or --dry-run nothing is written or verified.
    """
    try:
        plans = _plans(targets)
        if not (options.check or options.dry_run):
            for plan_ in plans:
                execute(plan_)
            if options.verify:
                _verify(targets)
    except PatchRefusedError as error:
        _print_refusal(error, as_json=options.as_json)
        return EXIT_REFUSED
    _report(targets, plans, options)
    complete = all(plan_.applied for plan_ in plans)
    return EXIT_NOT_APPLIED if options.check and not complete else 0


def _plans(targets: Sequence[tuple[Patch, Path]]) -> list[Plan]:
    """Return one plan per package.

    Nothing is written anywhere before every file of every package is known.
    """
    groups: dict[tuple[str, Path], list[Patch]] = {}
    for patch, root in targets:
        groups.setdefault((patch.package.dist, root), []).append(patch)
    return [plan(patches, known=siblings(patches[0]), root=root) for (_, root), patches in groups.items()]


def _print_refusal(error: PatchRefusedError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"state": "refused", "error": error.message, "expected": error.expected, "hint": error.hint}))
    print(error.render(), file=sys.stderr)


def _report(targets: Sequence[tuple[Patch, Path]], plans: Sequence[Plan], options: Options) -> None:
    states = {name: state for plan_ in plans for name, state in plan_.states.items()}
    changes = [change for plan_ in plans for change in plan_.changes]
    looked = options.check or options.dry_run
    if options.as_json:
        report = {
            "patches": {name: _word(state, looked=looked) for name, state in states.items()},
            "files": [{"path": str(change.path), "sha256": change.sha256} for change in changes],
            "written": not looked,
        }
        print(json.dumps(report, indent=2))
        return
    for patch, _ in targets:
        print(f"{patch.name}: {_word(states[patch.name], looked=looked)}")
    for change in changes if options.dry_run else ():
        print(f"would write {change.path} (sha256 {change.sha256})")


def _word(state: State, *, looked: bool) -> str:
    if looked:
        return state.value
    return "already applied" if state is State.APPLIED else "applied"


def _verify(targets: Iterable[tuple[Patch, Path]]) -> None:
    """Run each patch's verifier once, in a fresh process.

    The patched roots come first on its import path.
    """
    targets = list(targets)
    roots = list(dict.fromkeys(str(root.resolve()) for _, root in targets))
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, *inherited])}
    for verifier in dict.fromkeys(patch.verifier for patch, _ in targets if patch.verifier):
        script = Path(__file__).with_name(verifier)
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=VERIFY_SECONDS
        )
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            raise PatchRefusedError(
                f"{verifier} failed on the patched package (exit {done.returncode}); its output is above",
                expected="the patched package works with the versions installed beside it",
                hint=f"run `{sys.executable} {script}` to see it alone; --no-verify writes without trying",
            )
        print(done.stdout.strip(), file=sys.stderr)
