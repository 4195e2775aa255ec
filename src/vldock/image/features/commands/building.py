"""Sub-command `features build`: arguments and output."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vldock.common.errors import UsageError
from vldock.image.features.cache import ROWS
from vldock.image.features.commands.arguments import add_cache, add_rows, parse_count, parse_gigabytes, read_rows
from vldock.image.features.space import DTYPES, TOKENS

if TYPE_CHECKING:
    from vldock.image.features.build import BuildResult
    from vldock.image.features.model_choice import ModelChoice


def add_arguments(build: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_cache(build)
    named = build.add_mutually_exclusive_group(required=True)
    named.add_argument(
        "--model", default="", help="a LLaVA or CLIP model: VLMEvalKit's name, ORG/NAME, a folder; or imported:NAME"
    )
    named.add_argument(
        "--model-code",
        default="",
        metavar="FILE",
        help="any other model: a Python file with open_model(); it is executed",
    )
    add_rows(build, required=True)
    asked = build.add_mutually_exclusive_group()
    asked.add_argument("--prompt", metavar="TEXT", help="features of the whole LLaVA, asked this of every picture")
    asked.add_argument("--prompt-key", metavar="KEY", help="the same, each row of FILE asked what it has under KEY")
    asked.add_argument(
        "--for-evaluation", action="store_true", help="as run.py --feature-cache reads them: not rounded"
    )
    build.add_argument("--hidden", type=int, default=-1, metavar="N", help="with a prompt: which hidden state")
    build.add_argument("--tokens", choices=TOKENS, default=TOKENS[0], help="with a prompt: of which positions")
    build.add_argument("--resize", default="", metavar="HxW", help="resize every picture first, such as 360x640")
    build.add_argument("--dtype", choices=DTYPES, help="as stored (default: float16)")
    build.add_argument("--limit", type=parse_gigabytes, metavar="GB", help="of the whole cache, by eviction")
    build.add_argument("--batch-size", type=parse_count, default=16, metavar="N", help="(default: %(default)s)")
    build.add_argument("--num-workers", type=int, default=0, metavar="N", help="worker processes (default: none)")
    build.add_argument(
        "--prefetch-factor", type=parse_count, default=2, metavar="N", help="batches ahead of each worker"
    )
    build.add_argument("--rows-per-shard", type=parse_count, default=ROWS, metavar="N", help="(default: %(default)s)")
    build.add_argument("--broken", choices=("refuse", "skip"), default="refuse", help="pictures that cannot be read")


def run(args: argparse.Namespace, root: Path) -> int:
    """Build, and return the exit status."""
    from vldock.image.features import for_evaluation, torchrun_store
    from vldock.image.features.build import build
    from vldock.image.features.model_choice import open_model
    from vldock.image.features.picture_loader import LoaderOptions
    from vldock.image.features.progress import ProgressLines

    _check(args)
    rows = read_rows(args)
    with torchrun_store.join() as rank:
        vl_model, processor = open_model(_choice(args), device=torchrun_store.device())
        computed = getattr(vl_model, "dtype", None) if args.for_evaluation else None
        dtype = for_evaluation.name_of(computed) if computed else args.dtype or "float16"
        built = build(
            rows, vl_model=vl_model, processor=processor, cache_dir=root, dtype=dtype, limit=args.limit,
            loader=LoaderOptions(args.batch_size, args.num_workers, args.prefetch_factor), broken=args.broken,
            rows_per_shard=args.rows_per_shard, on_progress=ProgressLines(),
        )  # fmt: skip
    if not rank:
        _print(built, root, as_json=args.as_json)
    return 1 if built.refused else 0


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for contradictory arguments."""
    if args.images and not args.images.is_dir():
        raise UsageError(f"--images {args.images}: no such folder", expected="a folder of pictures")
    if args.images and args.prompt_key:
        raise UsageError("--prompt-key with --images", expected="--json, whose rows have prompts, or --prompt")
    if args.for_evaluation and args.dtype:
        raise UsageError(
            f"--for-evaluation with --dtype {args.dtype}",
            expected="the dtype the model computes in",
            hint="leave out --dtype; VLDOCK_DTYPE sets what is computed in",
        )


def _choice(args: argparse.Namespace) -> ModelChoice:
    from vldock.image.features.model_choice import ModelChoice

    return ModelChoice(
        args.model, args.model_code, bool(args.prompt or args.prompt_key), args.hidden, args.tokens, args.resize,
        args.for_evaluation,
    )  # fmt: skip


def _print(built: BuildResult, root: Path, *, as_json: bool) -> None:
    for line in built.broken:
        print(f"skipped: {line}", file=sys.stderr)
    facts = {**asdict(built), "rate": built.rate, "cache": str(root)}
    text = f"of {built.rows} rows {built.computed} computed, {built.kept} cached before, {len(built.broken)} broken"
    print(json.dumps(facts) if as_json else f"{text}; {built.rate:.1f} pictures/s; {root}")
    if built.refused:
        print(f"error: {built.refused} rows found no room below the limit", file=sys.stderr)
