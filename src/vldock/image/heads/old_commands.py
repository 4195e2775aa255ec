"""TRAIN_FlowMatching.py and TRAIN_Regression.py: their option names, on the one builder and trainer.

    torchrun --nproc_per_node=4 TRAIN_FlowMatching.py --mode cache --dataset_paths A B --cache_root DIR
    python TRAIN_Regression.py --mode train --dataset_paths A B --cache_root DIR

Features are of image and instruction. A `--cache_root` with .pt files of another cache is read as it is.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import UsageError, VldockError


@dataclass(frozen=True)
class OldOption:
    """Option of the earlier scripts: its names, and the setting it gives; "": none."""

    names: tuple[str, ...]
    setting: str
    says: str = ""


OPTIONS = (
    OldOption(("--cache_root",), "cache.folder"),
    OldOption(("--vl_model_name", "--model_name"), "cache.model"),
    OldOption(("--model_code", "--model-code"), "cache.model_code", "a Python file with open_model()"),
    OldOption(("--num_workers",), "cache.num_workers"),
    OldOption(("--prefetch_factor",), "cache.prefetch_factor"),
    OldOption(("--cache_limit_gb",), "cache.limit"),
    OldOption(("--epochs", "--num_epochs"), "training.epochs"),
    OldOption(("--lr", "--learning_rate"), "training.lr"),
    OldOption(("--hidden_dim",), "training.width"),
    OldOption(("--seed",), "training.seed"),
    OldOption(("--val_split", "--val_ratio"), "data.held_out", "a share of the episodes"),
    OldOption(("--output_dir", "--save_dir", "--checkpoint_dir"), "out"),
    OldOption(("--solver",), "sampling.solver"),
    OldOption(("--num_inference_steps", "--ode_steps"), "sampling.steps"),
)
NOTHING = ("--cache_loader_only", "--use_cache")  # accepted: the builder reads images only, the trainer the cache only
BATCH = {"cache": "cache.batch_size", "train": "training.batch_size"}


def main(argv: Sequence[str], *, objective: str, environ: Mapping[str, str] = os.environ) -> int:
    """Build or train as the old options say, and return the exit status."""
    mode, words = translate(argv, objective=objective)
    rank = int(environ.get("RANK", "0"))
    if mode == "train" and rank:
        return 0  # a head is trained by one process
    if not rank:
        print(f"python -m vldock.image train head {shlex.join(words)}", file=sys.stderr, flush=True)
    from vldock.image.heads import cli

    parser = argparse.ArgumentParser(prog="python -m vldock.image train head")
    cli.add_arguments(parser)
    return cli.main(parser.parse_args(words))


def run(argv: Sequence[str], *, objective: str) -> int:
    """Call `main`, print an error as its lines, and return the exit status."""
    try:
        return main(argv, objective=objective)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code


def translate(argv: Sequence[str], *, objective: str) -> tuple[str, list[str]]:
    """Return the mode, and the arguments of `train head`.

    Raises UsageError for an unknown option, naming the nearest, and for one without its other half.
    """
    parser = make_parser(objective)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        _refuse(unknown[0], parser)
    settings = {f"data.path={json.dumps(args.dataset_paths)}": bool(args.dataset_paths), "cache.features=prompt": True}
    if not args.dataset_paths:
        raise UsageError(
            "--dataset_paths is missing",
            expected="folders of episodes: docs/use/policy-heads.md",
            hint="scripts/total_train.sh draws a data set of its own",
        )
    if (args.image_resize_height is None) != (args.image_resize_width is None):
        raise UsageError("one of --image_resize_height and --image_resize_width", expected="both, or none")
    words = list(settings)
    for option in OPTIONS:
        given = getattr(args, option.setting)
        if given is not None:
            setting = option.setting
            if setting == "cache.folder" and holds_pt_files(Path(given)):
                setting = "cache.pt_folder"
            words.append(f"{setting}={given}")
    if args.batch_size is not None:
        words.append(f"{BATCH[args.mode]}={args.batch_size}")
    if args.image_resize_height is not None:
        words.append(f"cache.resize={args.image_resize_height}x{args.image_resize_width}")
    what = ["--prepare"] if args.mode == "cache" else ["--objective", objective]
    return args.mode, what + [part for word in (*words, *args.set) for part in ("--set", word)]


def make_parser(objective: str) -> argparse.ArgumentParser:
    """Return the parser of the old options."""
    parser = argparse.ArgumentParser(
        description=f"Build the feature cache, or train the {objective} head from it, by the names of earlier scripts.",
        epilog="The same with the names of this image: python -m vldock.image train head --help",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=("cache", "train"), default="train", help="(default: %(default)s)")
    parser.add_argument("--dataset_paths", nargs="+", default=[], metavar="DIR", help="data.path: folders of episodes")
    parser.add_argument("--batch_size", metavar="N", help=" or ".join(BATCH.values()))
    for side in ("height", "width"):
        parser.add_argument(f"--image_resize_{side}", type=int, metavar="N", help="cache.resize")
    for option in OPTIONS:
        said = f"{option.setting}{': ' if option.says else ''}{option.says}"
        parser.add_argument(*option.names, dest=option.setting, metavar="X", help=said)
    for name in NOTHING:
        parser.add_argument(name, action="store_true", help="accepted; it is always so")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting")
    return parser


def holds_pt_files(folder: Path) -> bool:
    """Return whether a folder is a cache of .pt files: PROMPT_HASH/DATASET_vlmN.pt."""
    return next(folder.glob("*/*_vlm*.pt"), None) is not None


def _refuse(word: str, parser: argparse.ArgumentParser) -> None:
    known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    name = word.partition("=")[0]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise UsageError(
        f"unknown option {name}",
        expected="--help lists them; --set NAME=VALUE gives any setting",
        hint=f"did you mean {close[0]}?" if close else "python -m vldock.image train head --help",
    )
