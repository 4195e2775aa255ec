"""`python -m vldock.image train head`: a policy head on cached features.

The objective is regression or conditional flow matching.

Exit status: 0 done, 2 wrong arguments or configuration, 3 unfit environment, 4 features that are not cached.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vldock.image.startup import prepare as startup

OBJECTIVES = ("regression", "flow-matching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--objective", choices=OBJECTIVES, help="train this head")
    what.add_argument("--prepare", action="store_true", help="draw the data and build its features (also by torchrun)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; missing settings have their defaults")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="training.epochs=3, and so on")
    parser.add_argument("--no-cache", action="store_true", help="compute every feature every time, for comparison")
    parser.add_argument("--as-json", action="store_true", help="one JSON object on standard output")


def main(args: argparse.Namespace) -> int:
    """Prepare or train, and return the exit status."""
    startup.prepare()
    from vldock.image.features import torchrun_store
    from vldock.image.features.progress import ProgressLines
    from vldock.image.heads import config as settings
    from vldock.image.heads import train

    config = settings.read(args.config, args.set)
    if not args.prepare:
        trained = train.train(config, args.objective, cached=not args.no_cache, on_epoch=_print_epoch)
        _print_result(asdict(trained), _line(trained), as_json=args.as_json)
        return 0
    with torchrun_store.join() as rank:
        built = train.prepare(config, on_progress=ProgressLines())
    if not rank:
        text = (
            f"of {built.rows} rows {built.computed} computed, {built.kept} cached before; {built.rate:.1f} pictures/s"
        )
        _print_result({**asdict(built), "rate": built.rate}, text, as_json=args.as_json)
    return 0


def _print_epoch(progress: dict[str, Any]) -> None:
    line = f"epoch {progress['epoch']}/{progress['of']}: loss {progress['loss']:.4f}, {progress['seconds']:.2f} s"
    print(line, file=sys.stderr, flush=True)


def _line(trained: Any) -> str:
    found = trained.measures
    return (
        f"{trained.objective}: {found.rows} held-out rows, position error {found.position_error:.3f}, "
        f"side error {found.reach_side_error:.3f}, passes through the shape {found.crash_rate:.0%}, "
        f"on the left {found.left_share:.0%}; {sum(trained.epochs):.1f} s, "
        f"{trained.hits} features from the cache, {trained.misses} not"
    )


def _print_result(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    print(json.dumps(facts) if as_json else text)
