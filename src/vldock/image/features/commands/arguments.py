"""Arguments shared by the sub-commands of `features`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vldock.image.features.picture_rows import ImageRow


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Declare the cache's folder and the form of the output."""
    parser.add_argument("--cache", type=Path, metavar="DIR", help="(default: $VLDOCK_FEATURES)")
    parser.add_argument("--as-json", action="store_true", help="one JSON object on standard output")


def add_rows(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare the source of rows."""
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--images", type=Path, metavar="DIR", help="every picture below a folder")
    source.add_argument("--json", type=Path, metavar="FILE", dest="rows", help="a LLaVA conversation file, or .jsonl")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="where FILE's pictures are (default: beside it)")
    parser.add_argument("--dataset", help="its name in the cache (default: each row's, or the folder's or file's)")


def read_rows(args: argparse.Namespace) -> list[ImageRow]:
    """Return the rows the arguments name."""
    from vldock.image.features import picture_rows

    if args.images:
        return picture_rows.from_folder(args.images, dataset=args.dataset, prompt=args.prompt)
    return picture_rows.from_json(
        args.rows, images=args.image_root, dataset=args.dataset, prompt=args.prompt, prompt_key=args.prompt_key
    )


def parse_gigabytes(text: str) -> int:
    """Return the bytes of a number of gigabytes."""
    try:
        found = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of gigabytes") from error
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: gigabytes, 0 or more")
    return int(found * 1e9)


def parse_count(text: str) -> int:
    """Return a whole number of 1 or more."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number, 1 or more")
    return int(text)
