"""Sub-command `features`: the cache of vision features.

`python -m vldock.image features build | ls | fsck | evict`.
Exit status: 0 done (fsck: clean), 1 the limit could not be kept: the shards are in use, 2 wrong arguments,
3 unfit environment, 4 damaged shards remain, or refused input (broken pictures, a tower that is not here, a model
without a CLIP tower), 130 or 143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from vldock.common.errors import UsageError
from vldock.image.features.cache import ROWS, default_root
from vldock.image.features.space import DTYPES, TOKENS
from vldock.image.startup import prepare as startup

if TYPE_CHECKING:
    from vldock.image.features.build import BuildResult
    from vldock.image.features.picture_rows import ImageRow
    from vldock.image.features.processor import ClipProcessor
    from vldock.image.features.prompt_features import PromptReader
    from vldock.image.features.towers import Tower


class Stopped(BaseException):
    """Stop requested by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _build_arguments(actions.add_parser("build", help="compute and store features, also under torchrun"))
    for name, summary in (("ls", "list the cache"), ("fsck", "check every byte"), ("evict", "reduce it to a limit")):
        _common(action := actions.add_parser(name, help=summary))
        if name == "fsck":
            action.add_argument("--repair", action="store_true", help="remove damaged and unfinished files")
        if name == "evict":
            action.add_argument("--limit", type=_gigabytes, required=True, metavar="GB", help="0: all not in use")
            action.add_argument("--dry-run", action="store_true", help="print the plan, remove nothing")


def _build_arguments(build: argparse.ArgumentParser) -> None:
    _common(build)
    build.add_argument("--model", required=True, help="a LLaVA or CLIP model: VLMEvalKit's name, ORG/NAME, a folder")
    source = build.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="every picture below a folder")
    source.add_argument("--json", type=Path, metavar="FILE", dest="rows", help="a LLaVA conversation file")
    build.add_argument("--image-root", type=Path, metavar="DIR", help="where FILE's pictures are (default: beside it)")
    build.add_argument("--dataset", help="its name in the cache (default: the folder's or file's)")
    asked = build.add_mutually_exclusive_group()
    asked.add_argument("--prompt", metavar="TEXT", help="features of the whole LLaVA, asked this of every picture")
    asked.add_argument("--prompt-key", metavar="KEY", help="the same, each row of FILE asked what it has under KEY")
    asked.add_argument(
        "--for-evaluation", action="store_true", help="as run.py --feature-cache reads them: not rounded"
    )
    build.add_argument("--hidden", type=int, default=-1, metavar="N", help="with a prompt: which hidden state")
    build.add_argument("--tokens", choices=TOKENS, default=TOKENS[0], help="with a prompt: of which positions")
    build.add_argument("--dtype", choices=DTYPES, help="as stored (default: float16)")
    build.add_argument("--limit", type=_gigabytes, metavar="GB", help="of the whole cache, by eviction")
    build.add_argument("--batch-size", type=_count, default=16, metavar="N", help="(default: %(default)s)")
    build.add_argument("--num-workers", type=int, default=0, metavar="N", help="worker processes (default: none)")
    build.add_argument("--prefetch-factor", type=_count, default=2, metavar="N", help="batches ahead of each worker")
    build.add_argument("--rows-per-shard", type=_count, default=ROWS, metavar="N", help="(default: %(default)s)")
    build.add_argument("--broken", choices=("refuse", "skip"), default="refuse", help="pictures that cannot be read")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, metavar="DIR", help="(default: $VLDOCK_FEATURES)")
    parser.add_argument("--as-json", action="store_true", help="one JSON object on standard output")


def _gigabytes(text: str) -> int:
    try:
        found = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of gigabytes") from error
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: gigabytes, 0 or more")
    return int(found * 1e9)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number, 1 or more")
    return int(text)


def main(args: argparse.Namespace) -> int:
    """Run one action and return its exit status."""
    if args.action != "build":
        return _look(args, args.cache or default_root())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        startup.prepare()
        return _build(args, args.cache or default_root())
    except Stopped as stop:
        print("error: stopped; what is written is kept, the same command continues", file=sys.stderr)
        return stop.exit_code


def _build(args: argparse.Namespace, root: Path) -> int:
    from vldock.image.features import for_evaluation, torchrun_store
    from vldock.image.features.build import build
    from vldock.image.features.picture_loader import LoaderOptions
    from vldock.image.features.progress import ProgressLines

    _check_build(args)
    rows = _rows(args)
    with torchrun_store.join() as rank:
        vl_model, processor = _open_model(args, torchrun_store.device())
        dtype = for_evaluation.name_of(vl_model.dtype) if args.for_evaluation else args.dtype or "float16"
        built = build(
            rows, vl_model=vl_model, processor=processor, cache_dir=root, dtype=dtype, limit=args.limit,
            loader=LoaderOptions(args.batch_size, args.num_workers, args.prefetch_factor), broken=args.broken,
            rows_per_shard=args.rows_per_shard, on_progress=ProgressLines(),
        )  # fmt: skip
    if not rank:
        _print_build(built, root, as_json=args.as_json)
    return 1 if built.refused else 0


def _check_build(args: argparse.Namespace) -> None:
    """Raise UsageError for contradictory arguments of `build`."""
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


def _rows(args: argparse.Namespace) -> list[ImageRow]:
    from vldock.image.features import picture_rows

    if args.images:
        return picture_rows.from_folder(args.images, dataset=args.dataset, prompt=args.prompt)
    return picture_rows.from_json(
        args.rows, images=args.image_root, dataset=args.dataset, prompt=args.prompt, prompt_key=args.prompt_key
    )


def _open_model(args: argparse.Namespace, device: str | None) -> tuple[Tower | PromptReader, ClipProcessor]:
    from vldock.image.features import prompt_features, towers

    if args.prompt or args.prompt_key:
        return prompt_features.open_reader(args.model, hidden=args.hidden, tokens=args.tokens, device=device)
    return towers.open_tower(args.model, device=device, for_evaluation=args.for_evaluation)


def _print_build(built: BuildResult, root: Path, *, as_json: bool) -> None:
    for line in built.broken:
        print(f"skipped: {line}", file=sys.stderr)
    facts = {**asdict(built), "rate": built.rate, "cache": str(root)}
    text = f"of {built.rows} rows {built.computed} computed, {built.kept} cached before, {len(built.broken)} broken"
    print(json.dumps(facts) if as_json else f"{text}; {built.rate:.1f} pictures/s; {root}")
    if built.refused:
        print(f"error: {built.refused} rows found no room below the limit", file=sys.stderr)


def _look(args: argparse.Namespace, root: Path) -> int:
    from vldock.image.features import evict, fsck, listing

    if not root.is_dir():
        raise UsageError(f"--cache {root}: no such folder", expected="the folder of a feature cache")
    if args.action == "ls":
        found = listing.list_groups(root)
        print(json.dumps([asdict(one) for one in found]) if args.as_json else listing.render_groups(found))
        return 0
    if args.action == "fsck":
        report = fsck.check(root, repair=args.repair)
        print(json.dumps(listing.as_json(report)) if args.as_json else listing.render_report(report, root))
        return 0 if report.clean else 4
    planned = evict.plan(root, limit=args.limit)
    gone = [] if args.dry_run else evict.execute(planned)
    left = planned.total - sum(one.size for one in gone)
    if args.as_json:
        print(json.dumps({"bytes": left, "excess": planned.excess, "removed": [str(one.path) for one in gone]}))
    else:
        verb = f"would remove {planned.excess / 1e6:.1f} MB" if args.dry_run else f"removed {len(gone)} shards"
        print(f"{planned.total / 1e6:.1f} MB, limit {args.limit / 1e6:.1f} MB: {verb}; {left / 1e6:.1f} MB left")
    return 0 if args.dry_run or left <= args.limit else 1


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
