"""`vldock check`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, UsageError
from vldock.host.downloads import inventory, locked_files, table_check
from vldock.host.downloads import plan as fetch_plan
from vldock.host.downloads.inventory import Item
from vldock.host.downloads.locked_files import LockedData
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, size_text
from vldock.host.util.worker_threads import run_all

FOLDER = click.Path(path_type=Path)


@click.command(name="check")
@click.argument("kind", type=click.Choice(("data", "weights")))
@click.argument("names", nargs=-1)
@click.option("--data", type=FOLDER, envvar="LMUData", help="Folder of benchmark TSVs. [env: LMUData]")
@click.option("--cache", type=FOLDER, help="Folder of caches; weights are in its huggingface/.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Files at a time.")
@click.option("--quick", is_flag=True, help="Heads, tails and sizes only: finds no flipped byte and no flawed row.")
@click.option("--locks", type=FOLDER, help="Folder of datasets.json and weights.json. Default: this checkout's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output.")
def check_command(
    kind: str,
    names: tuple[str, ...],
    data: Path | None,
    cache: Path | None,
    jobs: int,
    quick: bool,
    locks: Path | None,
    as_json: bool,
) -> int:
    """Check whether benchmarks (data) or models (weights) are complete, flawed, partial, corrupt, foreign or absent.

    No network is used. Foreign is what no lock declares; it is told and harms nothing. The rows of a table are looked
    at as run.py does before its first question; a name may be a TSV of your own. Exit code 0 only if all NAMES
    (default: those of `vldock matrix`) are complete.

    \b
    Examples:
      vldock check data --data ~/LMUData
      vldock check data ./Mine.tsv
      vldock check weights llava_v1.5_7b --cache ~/vldock-cache
      vldock check weights all --cache ~/vldock-cache --quick --json
    """
    folder = locks or checkout.root() / "locks"
    if kind == "data":
        asked, others = _data(names, folder, data, jobs=jobs, quick=quick)
    else:
        asked, others = _weights(names, folder, cache, jobs=jobs, quick=quick)
    lacking = [item for item in asked if item.state != "complete"]
    if as_json:
        items = [item.as_json() for item in (*asked, *others)]
        print_json({"complete": not lacking, "asked": len(asked), "items": items})
    else:
        _print(asked, others)
    if not lacking:
        return 0
    counts = ", ".join(f"{item.name} {item.state}" for item in lacking)
    raise InputRefused(
        f"{len(lacking)} of {len(asked)} are not complete: {counts}",
        expected="every file there, and its bytes those declared",
        hint=_cure(kind, lacking),
    )


def _data(
    names: Sequence[str], folder: Path, root: Path | None, *, jobs: int, quick: bool
) -> tuple[list[Item], list[Item]]:
    locked = locked_files.load_datasets(folder)
    known = {item.name for item in locked}
    own = [name for name in names if name not in known and table_check.is_custom(name, root)]
    items = [table_check.custom_item(name, root, quick=quick) for name in own]
    if own and len(own) == len(names):
        return items, []
    if root is None:
        raise UsageError("no folder of benchmarks", expected="--data FOLDER, or LMUData")

    def look(one: LockedData) -> Item:
        item = inventory.data_item(one, root, quick=quick)
        return item if quick or item.state != "complete" else table_check.with_problems(item)

    chosen = fetch_plan.choose_data([name for name in names if name not in own], locked)
    ends = run_all(chosen, look, jobs=jobs, stop=threading.Event())
    items += [end.result for end in ends if end.result]
    return items, [item for item in inventory.foreign_data(root, locked) if item.name not in own]


def _weights(
    names: Sequence[str], folder: Path, cache: Path | None, *, jobs: int, quick: bool
) -> tuple[list[Item], list[Item]]:
    if cache is None:
        raise UsageError("no folder of weights", expected="--cache FOLDER")
    hub = cache / fetch_plan.HUB_FOLDER
    lock = locked_files.load_weights(folder)
    chosen = fetch_plan.choose_repos(names, lock)
    ends = run_all(chosen, lambda item: inventory.repo_item(item, hub, quick=quick), jobs=jobs, stop=threading.Event())
    return [end.result for end in ends if end.result], inventory.foreign_repos(hub, lock.repositories)


def _print(asked: Sequence[Item], others: Sequence[Item]) -> None:
    table = Table("name", "state", "size", "what", box=None, pad_edge=False)
    for item in (*asked, *others):
        table.add_row(item.name, item.state, size_text(item.size) if item.size else "", escape("\n".join(item.notes)))
    console().print(table)


def _cure(kind: str, lacking: Sequence[Item]) -> str:
    if all(item.state == "flawed" for item in lacking):
        return "mend the rows named above; run.py refuses the table as it is"
    wrong = [item for item in lacking if item.state == "corrupt"]
    names = " ".join(item.name for item in lacking)
    option = "--data FOLDER" if kind == "data" else "--cache FOLDER"
    fetch = f"vldock fetch {kind} {names} {option}"
    if any(item.mends for item in lacking):
        return f"{hub_cache_layout.REPAIR} {option}, then check again"
    if kind == "data" and wrong:
        return f"mv {wrong[0].path} {wrong[0].path}.other, then {fetch}"
    return fetch
