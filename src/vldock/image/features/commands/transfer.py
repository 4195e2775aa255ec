"""Sub-commands `features export` and `features import`: the cache to .pt files, and back."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features.commands.arguments import add_cache, add_rows, parse_gigabytes, read_rows

if TYPE_CHECKING:
    from vldock.image.features.pt_files import PtCache
    from vldock.image.features.pt_transfer import TransferResult

SHOWN = 10  # absent rows and faults named on standard error


def add_arguments(parser: argparse.ArgumentParser, *, importing: bool) -> None:
    """Declare the arguments of either direction."""
    add_cache(parser)
    add_rows(parser, required=importing)
    parser.add_argument("--pt", type=Path, required=True, metavar="DIR", help="PROMPT_HASH/DATASET_vlmN.pt below it")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--prompt", metavar="TEXT", help="the prompt of every row")
    asked.add_argument("--prompt-key", metavar="KEY", help="each row's prompt (default with --json: prompt)")
    parser.add_argument("--prompt-hashes", type=Path, metavar="FILE", help='folders by prompt: {"prompt": "folder"}')
    parser.add_argument("--limit", type=parse_gigabytes, metavar="GB", help="more is refused")
    parser.add_argument("--dry-run", action="store_true", help="read and check, write nothing")
    if importing:
        parser.add_argument("--model-name", required=True, metavar="NAME", help="the model that computed them")
    else:
        parser.add_argument(
            "--space", default="", metavar="HEX", help="first digits of model and layer, as shards are named"
        )
        parser.add_argument(
            "--prompt-hash", default="sha256:8", metavar="NAME:N", help="of new folders (default: %(default)s)"
        )


def run(args: argparse.Namespace, root: Path) -> int:
    """Copy, print the counts and return the exit status."""
    if args.rows and not args.prompt and not args.prompt_key:
        args.prompt_key = "prompt"
    if args.images and args.prompt_key:
        raise UsageError("--prompt-key with --images", expected="--json, whose rows have prompts, or --prompt")
    return _import(args, root) if args.action == "import" else _export(args, root)


def _export(args: argparse.Namespace, root: Path) -> int:
    from vldock.image.features import pt_transfer
    from vldock.image.features.cache import FeatureCache
    from vldock.image.features.progress import ProgressLines

    if not root.is_dir():
        raise UsageError(f"--cache {root}: no such folder", expected="the folder of a feature cache")
    target = _pt_cache(args, *_parse_hash(args.prompt_hash))
    rows = read_rows(args) if args.rows or args.images else None
    space = pt_transfer.choose_space(root, digest=args.space, dataset=args.dataset if rows is None else None)
    with FeatureCache(root, space) as cache:
        done = pt_transfer.export_rows(
            cache, target, rows=rows, dataset=args.dataset, limit=args.limit, dry_run=args.dry_run,
            on_progress=ProgressLines("written", "rows"),
        )  # fmt: skip
    return _print(args, done, f"{args.pt}", "the cache has no features of")


def _import(args: argparse.Namespace, root: Path) -> int:
    from vldock.image.features import pt_transfer
    from vldock.image.features.cache import FeatureCache
    from vldock.image.features.progress import ProgressLines

    if not args.pt.is_dir():
        raise UsageError(f"--pt {args.pt}: no such folder", expected="PROMPT_HASH/DATASET_vlmN.pt below it")
    source, rows = _pt_cache(args), read_rows(args)
    with FeatureCache(root, pt_transfer.imported_space(args.model_name), limit=args.limit) as cache:
        done = pt_transfer.import_rows(
            source, rows, cache=cache, dry_run=args.dry_run, on_progress=ProgressLines("imported", "rows")
        )
        refused = cache.counts.refused
    if unused := pt_transfer.count_unused(source, rows):
        print(f"{unused} .pt files are of no row", file=sys.stderr)
    if done.rows and len(done.missing) == done.rows:
        raise InputRefused(
            f"{args.pt} has no file of any of {done.rows} rows",
            expected=f"{source.path_of(rows[0].prompt, rows[0].dataset, rows[0].vlm_idx)}, or by another digest",
            hint='--prompt-hashes FILE.json with {"prompt": "folder"}; --dataset names the data set',
        )
    if refused:
        print(f"error: {refused} rows found no room below the limit", file=sys.stderr)
    return _print(args, done, f"{root}: --model imported:{args.model_name}", "no .pt file of") or int(bool(refused))


def _pt_cache(args: argparse.Namespace, algorithm: str = "sha256", digits: int = 8) -> PtCache:
    from vldock.image.features import pt_files

    names = pt_files.read_names(args.prompt_hashes) if args.prompt_hashes else {}
    return pt_files.PtCache(args.pt, names, algorithm, digits)


def _parse_hash(text: str) -> tuple[str, int]:
    from vldock.image.features.pt_files import ALGORITHMS

    algorithm, _, digits = text.partition(":")
    if algorithm not in ALGORITHMS or not (digits.isascii() and digits.isdigit() and 4 <= int(digits) <= 64):
        raise UsageError(f"--prompt-hash {text}", expected=f"{', '.join(ALGORITHMS)} and 4 to 64 digits: sha256:8")
    return algorithm, int(digits)


def _print(args: argparse.Namespace, done: TransferResult, where: str, absent: str) -> int:
    for kind, lines in ((f"{absent} ", done.missing), ("refused: ", done.faults)):
        for line in lines[:SHOWN]:
            print(f"{kind}{line}", file=sys.stderr)
        if len(lines) > SHOWN:
            print(f"{kind}{len(lines) - SHOWN} more", file=sys.stderr)
    verb = "would be copied" if args.dry_run else "copied"
    text = f"of {done.rows} rows {done.copied} {verb} ({done.size / 1e6:.1f} MB), {done.kept} there before, "
    text += f"{len(done.missing)} absent, {len(done.faults)} refused; {where}"
    print(json.dumps({**asdict(done), "dry_run": args.dry_run}) if args.as_json else text)
    return 4 if done.faults else 0
