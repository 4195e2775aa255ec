"""`python -m vldock.image train head`: a policy head on cached features.

The objective is regression or conditional flow matching.

Exit status: 0 done, 2 wrong arguments or configuration, 3 unfit environment, 4 faults in the data, or features that are
not cached.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.image.startup import prepare as startup

if TYPE_CHECKING:
    from vldock.image.heads.config import Config

OBJECTIVES = ("regression", "flow-matching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--objective", choices=OBJECTIVES, help="train this head")
    what.add_argument("--prepare", action="store_true", help="read the data and build its features (also by torchrun)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; missing settings have their defaults")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="training.epochs=3, and so on")
    parser.add_argument("--no-cache", action="store_true", help="compute every feature every time, for comparison")
    parser.add_argument("--as-json", action="store_true", help="one JSON object on standard output")


def main(args: argparse.Namespace) -> int:
    """Prepare or train, and return the exit status."""
    startup.prepare()
    from vldock.image.heads import config as settings

    config = settings.read(args.config, args.set)
    return _prepare(config, as_json=args.as_json) if args.prepare else _train(config, args)


def _prepare(config: Config, *, as_json: bool) -> int:
    from vldock.image.features import torchrun_store
    from vldock.image.features.progress import ProgressLines
    from vldock.image.heads import prepare

    with torchrun_store.join() as rank:
        data, built = prepare.prepare(config, on_progress=ProgressLines())
    if rank:
        return 0
    facts: dict[str, Any] = {"data": data.summary()}
    text = f"{config.cache.pt_folder} has the features of every picture"
    if built:
        facts |= {**asdict(built), "rate": built.rate}
        text = f"of {built.rows} pictures {built.computed} computed, {built.kept} cached before"
        text += f"; {built.rate:.1f} pictures/s"
    print(json.dumps(facts) if as_json else f"{data.summary()}\n{text}")
    return 0


def _train(config: Config, args: argparse.Namespace) -> int:
    from vldock.image.heads import measure, train

    trained = train.train(config, args.objective, cached=not args.no_cache, on_epoch=_print_epoch)
    text = [trained.data, measure.render_table(trained.objective, trained.measures)]
    if scenes := trained.measures.scenes:
        text.append(
            f"drawn scenes: position error {scenes.position_error:.3f}, side error {scenes.reach_side_error:.3f}, "
            f"passes through the shape {scenes.crash_rate:.0%}, on the left {scenes.left_share:.0%}"
        )
    text.append(
        f"{sum(trained.epochs):.1f} s; features read {trained.hits} times, computed or missing {trained.misses}; "
        f"{Path(config.out) / trained.objective}"
    )
    print(json.dumps(asdict(trained)) if args.as_json else "\n".join(text))
    for line in measure.warn(trained.objective, trained.measures):
        print(line, file=sys.stderr)
    return 0


def _print_epoch(progress: dict[str, Any]) -> None:
    line = f"epoch {progress['epoch']}/{progress['of']}: loss {progress['loss']:.4f}, {progress['seconds']:.2f} s"
    print(line, file=sys.stderr, flush=True)
