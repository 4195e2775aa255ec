"""Command line of test_hf_cache.py: reads a data set without a network.

Checks, step by step, that training can read its data, up to the batches of a train loader. Without a name it takes the
only data set of the cache, or the one training is configured for.

Exit status: 0 read; 2 wrong arguments, a model's name, several configurations or data sets; 3 not cached, no token, no
space or no permission; 4 partly cached, unreadable, or a network was used; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, UsageError, VldockError
from vldock.common.filesystem.permissions import can_write, nearest_existing
from vldock.common.matrix import MODELS
from vldock.image.offline import choice, mode, places, train_loader
from vldock.image.offline.cached import Cached, find_as_named
from vldock.image.weights.hub_snapshots import cache_root

STEPS = 6
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
DONE, START, OPEN = "✅", "🧪", "📂"


def main(argv: Sequence[str], *, configured: str = "") -> int:
    """Show the steps and return the exit status.

    `configured` is the data set of training's own configuration.
    """
    parser = argparse.ArgumentParser(prog="test_hf_cache.py", description=(__doc__ or "").split("\n\n")[1])
    _add_arguments(parser)
    args = parser.parse_args(argv)
    if sum(map(bool, (args.name, args.self_test, args.all, args.training))) > 1:
        parser.error("one of ORG/NAME, --all, --training and --self-test")
    logging.getLogger("vldock.offline").addHandler(logging.NullHandler())  # the steps are printed
    _say(START, "Testing HuggingFace Cache Setup")
    try:
        if args.self_test:
            from vldock.image.offline.tiny_cache import write_tiny

            with tempfile.TemporaryDirectory(prefix="vldock-self-test-") as folder:
                args.cache_dir = Path(folder)
                show(write_tiny(args.cache_dir), args)
        else:
            _show_home()
            names = _names(args, configured)
            for name in names:
                show(name, args)
            if not names:
                return 0
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # the datasets library removes what it was making
        print("stopped; no part of a copy is left", file=sys.stderr)
        return 130
    _say(DONE, "ALL TESTS PASSED!")
    print("PASS: training can read this data without a network")
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="ORG/NAME", help="the data set; default: what the cache holds")
    parser.add_argument("--all", action="store_true", help="every data set of the cache")
    parser.add_argument("--config", help="its configuration, if it has several")
    parser.add_argument("--split", help='for example "train[:100]"; default: all')
    parser.add_argument("--cache-dir", type=Path, help="default: $HF_DATASETS_CACHE")
    parser.add_argument("--no-copy", action="store_true", help="stream a snapshot; make no Arrow files of it")
    parser.add_argument(
        "--batch-size", type=_positive, default=32, metavar="N", help="of the train loader; default: 32"
    )
    parser.add_argument("--batches", type=_positive, default=3, metavar="N", help="read from it; default: 3")
    parser.add_argument("--training", metavar="FILE", help="the data set of a training's YAML file; -: standard input")
    parser.add_argument("--self-test", action="store_true", help="use a tiny data set in a temporary cache")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _names(args: argparse.Namespace, configured: str) -> list[str]:
    """Return the data sets to test; none where training reads something else."""
    if args.training:
        args.name, other = choice.read_training(args.training)
        if other:
            print(f"training reads {other}, and no data set of the cache: nothing to test there")
            return []
    if args.name:
        return [args.name]
    return choice.choose(places.find_places(args.cache_dir), configured=configured, every=args.all)


def _show_home() -> None:
    home = places.home()
    if home.is_dir():
        _say(DONE, f"HF_HOME exists: {home}")
    else:
        print(f"HF_HOME does not exist: {home}")


def show(name: str, args: argparse.Namespace) -> None:
    """Print each step of loading a data set.

    Raises the errors of vldock.image.offline.errors, and InputRefused where a network was used.
    """
    found = places.find_places(args.cache_dir)
    before = {variable: os.environ.get(variable) for variable in mode.VARIABLES}
    _head(1, "offline setting", str(mode.current()))
    _head(2, "folders", *(_folder(folder) for folder in found.all))
    name, held = find_as_named(name, arrow=found.arrow, hub=found.hub, also=found.also)
    _head(3, f"what the cache holds of {name}", *_held(held))
    _say_found(name, held)
    _say(OPEN, "Loading from offline cache (no Hub connection)")
    print(f"[4/{STEPS}] load {name} by name, every connection refused")
    with refuse_network() as attempts:
        from vldock.image.offline.load import load

        loaded = load(
            name,
            args.config,
            split=args.split,
            cache_dir=args.cache_dir,
            copy=not args.no_copy,
            on_step=lambda step: print(f"      {step}"),
        )
        _head(5, "read it as training does", *_read(loaded.dataset))
        split, rows = train_loader.train_split(loaded.dataset)
        batches, lines = train_loader.read_batches(rows, size=args.batch_size, count=args.batches, split=split)
        _say(DONE, f"Created train loader: {batches}")
        print(*(f"      {line}" for line in lines), sep="\n")
    _head(6, "afterwards", f"{len(attempts)} connections asked for", f"offline setting: {mode.current()}")
    if attempts:
        raise InputRefused(f"a network was asked for: {', '.join(sorted(set(attempts)))}", expected="none")
    if before != {variable: os.environ.get(variable) for variable in mode.VARIABLES}:
        raise InputRefused("the offline setting was changed", expected=str(before))


def _say_found(name: str, held: Cached) -> None:
    """Print where the data set is; raise UsageError for a model's name."""
    there = [one.path.parents[1] for one in held.snapshots] or [one.path.parents[2] for one in held.prepared]
    if there:
        _say(DONE, f"Found {name} cache: {there[0]}")
    elif _is_model(name):
        raise UsageError(
            f"{name} is a model's name, and this script reads data sets",
            expected="ORG/NAME of a data set",
            hint=f"on the host: vldock check weights {name} --cache FOLDER",
        )


def _is_model(name: str) -> bool:
    """Return whether a name is a declared model's, or of a model in the cache."""
    declared = {known for model in MODELS for known in (model.name, model.repo, *model.needs)}
    return name in declared or hub_cache_layout.folder(cache_root(os.environ), name).is_dir()


@contextmanager
def refuse_network() -> Iterator[list[str]]:
    """Refuse every internet connection and look-up in the block.

    Those of this process; yields the list of them.
    """
    noted: list[str] = []
    active = True

    def audit(event: str, details: tuple[Any, ...]) -> None:
        local = event == "socket.connect" and isinstance(details[-1], str | bytes)  # a path: a Unix socket
        if active and event in NETWORK and not local:
            noted.append(f"{event} {details}")
            raise ConnectionRefusedError(f"test_hf_cache.py refuses {event}")

    sys.addaudithook(audit)  # cannot be removed; it does nothing after the block
    try:
        yield noted
    finally:
        active = False


def _say(mark: str, text: str) -> None:
    """Print a line with its mark, where the terminal can show it."""
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        print(text)
    else:
        print(f"{mark} {text}")


def _head(number: int, title: str, *lines: str) -> None:
    print(f"[{number}/{STEPS}] {title}")
    for line in lines:
        print(f"      {line}")


def _folder(folder: Path) -> str:
    there = nearest_existing(folder)
    access = "writable" if can_write(folder) else "read-only: Arrow files made anew go to a temporary folder"
    state = access if folder.is_dir() else "not there"
    return f"{folder}: {state}, {shutil.disk_usage(there).free / 1e9:.1f} GB free"


def _held(held: Cached) -> list[str]:
    lines = [f"Arrow {one.config} {one.hash[:12]} ({', '.join(one.splits)}){_lacks(one)}" for one in held.prepared]
    lines += [f"snapshot {one.commit[:12]}: {len(one.files)} data files{_lacks(one)}" for one in held.snapshots]
    return [*lines, *(f"unfinished {path}" for path in held.unfinished)] or ["nothing"]


def _lacks(one: Any) -> str:
    return f", lacks {', '.join(one.missing[:3])}" if one.missing else ""


def _read(dataset: Any) -> list[str]:
    """Read the first, middle and last row of every split, of a stream the first.

    Returns one line for each split.
    """
    splits = dataset if hasattr(dataset, "keys") else {"data": dataset}
    lines = []
    for name, rows in splits.items():
        if not hasattr(rows, "__len__"):
            first: dict[str, Any] = next(iter(rows), {})
            lines.append(f"{name}: a stream of {', '.join(first)}; first row read")
            continue
        for index in {0, len(rows) // 2, len(rows) - 1} if len(rows) else ():
            rows[index]
        lines.append(f"{name}: {len(rows)} rows of {', '.join(rows.column_names)}; first, middle and last read")
    return lines
