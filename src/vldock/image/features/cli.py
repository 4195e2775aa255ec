"""Sub-command `features`: the cache of vision features.

`python -m vldock.image features build | export | import | ls | fsck | evict`.
Exit status: 0 done (fsck: clean), 1 the limit could not be kept: the shards are in use, 2 wrong arguments,
3 unfit environment, 4 damaged shards remain, or refused input (broken pictures or .pt files, a tower that is not
here, a model without a CLIP tower), 130 or 143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from vldock.common.errors import UsageError
from vldock.image.features.cache import default_root
from vldock.image.features.commands import building, transfer
from vldock.image.features.commands.arguments import add_cache, parse_gigabytes
from vldock.image.startup import prepare as startup


class Stopped(BaseException):
    """Stop requested by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    building.add_arguments(actions.add_parser("build", help="compute and store features, also under torchrun"))
    export = actions.add_parser("export", help="copy features to PROMPT_HASH/DATASET_vlmN.pt files")
    transfer.add_arguments(export, importing=False)
    transfer.add_arguments(actions.add_parser("import", help="copy such files of another model"), importing=True)
    for name, summary in (("ls", "list the cache"), ("fsck", "check every byte"), ("evict", "reduce it to a limit")):
        add_cache(action := actions.add_parser(name, help=summary))
        if name == "fsck":
            action.add_argument("--repair", action="store_true", help="remove damaged and unfinished files")
        if name == "evict":
            action.add_argument("--limit", type=parse_gigabytes, required=True, metavar="GB", help="0: all not in use")
            action.add_argument("--dry-run", action="store_true", help="print the plan, remove nothing")


def main(args: argparse.Namespace) -> int:
    """Run one action and return its exit status."""
    root = args.cache or default_root()
    if args.action in ("ls", "fsck", "evict"):
        return _look(args, root)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        startup.prepare()
        run = building.run if args.action == "build" else transfer.run
        return run(args, root)
    except Stopped as stop:
        print("error: stopped; what is written is kept, the same command continues", file=sys.stderr)
        return stop.exit_code


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
