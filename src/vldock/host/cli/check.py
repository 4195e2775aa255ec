"""`vldock check`: the state of benchmarks, weights and data sets on disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, UsageError
from vldock.host.cli import options
from vldock.host.downloads import inventory, locked_files, table_check
from vldock.host.downloads import names as fetch_names
from vldock.host.downloads.inventory import Item
from vldock.host.downloads.locked_files import LockedData
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, say, size_text
from vldock.host.util.worker_threads import run_all


@click.command(name="check")
@click.argument("kind", type=click.Choice(("data", "weights", "datasets")))
@click.argument("names", nargs=-1)
@options.DATA
@options.cache_option("Folder of caches; weights are in its huggingface/.", hub_itself=True)
@options.JOBS
@click.option("--quick", is_flag=True, help="Heads, tails and sizes only: finds no flipped byte and no flawed row.")
@options.LOCKS
@options.json_option()
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
    """Check benchmarks (data), models (weights) or data sets of the Hub for completeness.

    NAMES are those of `vldock fetch`. Each is complete, flawed, partial, corrupt, foreign or absent. No network is
    used. Foreign files have no lock's declaration; they are listed and harm nothing. The rows of a table are checked as
    run.py checks them before its first question; a name may be a custom TSV. Of a model's remote code every file must
    be there, be the pinned one, and run without a compiler. Exit code 0 only if all NAMES (default: those of
    `vldock matrix`) are complete.

    \b
    Examples:
      vldock check data --data ~/LMUData
      vldock check data ./Mine.tsv
      vldock check weights llava_v1.5_7b --cache ~/vldock-cache
      vldock check weights all --cache ~/vldock-cache --quick --json
    """
    folder = locks or checkout.root() / "locks"
    if kind == "data":
        requested, others = _check_data(names, folder, data, jobs=jobs, quick=quick)
    else:
        requested, others = _check_repos(kind, names, folder, cache, jobs=jobs, quick=quick)
    lacking = [item for item in requested if item.state != "complete"]
    if as_json:
        items = [item.as_json() for item in (*requested, *others)]
        print_json({"complete": not lacking, "asked": len(requested), "items": items})
    else:
        _print(requested, others)
    if not lacking:
        return 0
    counts = ", ".join(f"{item.name} {item.state}" for item in lacking)
    raise InputRefused(
        f"{len(lacking)} of {len(requested)} are not complete: {counts}",
        expected="every file there, and its bytes those declared",
        hint=_repair_command(kind, lacking),
    )


def _check_data(
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

    chosen = fetch_names.choose_data([name for name in names if name not in own], locked)
    ends = run_all(chosen, look, jobs=jobs, stop=threading.Event())
    items += [end.result for end in ends if end.result]
    return items, [item for item in inventory.foreign_data(root, locked) if item.name not in own]


def _check_repos(
    kind: str, names: Sequence[str], folder: Path, cache: Path | None, *, jobs: int, quick: bool
) -> tuple[list[Item], list[Item]]:
    if cache is None:
        raise UsageError(f"no folder of {kind}", expected="--cache FOLDER")
    hub = cache / hub_cache_layout.HUB_FOLDER
    if hub_cache_layout.is_hub_cache(cache):
        hub = cache
        say(f"{cache} is itself a hub cache; other commands take the folder whose {hub_cache_layout.HUB_FOLDER}/ it is")
    lock = locked_files.load_weights(folder)
    datasets = kind == "datasets"
    chosen = fetch_names.choose_datasets(names) if datasets else fetch_names.choose_repos(names, lock)
    ends = run_all(chosen, lambda item: inventory.repo_item(item, hub, quick=quick), jobs=jobs, stop=threading.Event())
    others = [] if datasets else inventory.foreign_repos(hub, (*lock.repositories, *chosen))
    return [end.result for end in ends if end.result], others


def _print(requested: Sequence[Item], others: Sequence[Item]) -> None:
    table = Table("name", "state", "size", "what", box=None, pad_edge=False)
    for item in (*requested, *others):
        table.add_row(item.name, item.state, size_text(item.size) if item.size else "", escape("\n".join(item.notes)))
    console().print(table)


def _repair_command(kind: str, lacking: Sequence[Item]) -> str:
    if kind == "data" and all(item.state == "flawed" for item in lacking):
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
