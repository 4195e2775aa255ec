"""`vldock benchmarks`: the declared benchmarks, and the state of their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from vldock.common import matrix
from vldock.common.matrix import Benchmark
from vldock.host.cli import options
from vldock.host.downloads import inventory, locked_files
from vldock.host.downloads.locked_files import LockedData
from vldock.host.runs.plan import choose_benchmarks
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, size_text

NOTES = """\
Rows are approximate; --standin has 10 of its own for each. Every table is
pinned by its md5. NAME.tsv in the data folder is a benchmark of yours.
vldock benchmarks NAME: file, address, checksums, editions."""
ELSEWHERE = "vldock benchmarks --data FOLDER: the tables that are there."


@click.command(name="benchmarks")
@click.argument("name", required=False)
@options.DATA
@options.LOCKS
@options.json_option()
def benchmarks_command(name: str | None, data: Path | None, locks: Path | None, as_json: bool) -> None:
    """List the benchmarks: type, rows, reported figure, tables here.

    With NAME: its figure, file, address, checksums and editions. The state of tables is that of `vldock check data
    --quick`: no file is read in full. No network is used. Exit code 0.

    \b
    Examples:
      vldock benchmarks
      vldock benchmarks --data ~/LMUData
      vldock benchmarks BLINK
      vldock benchmarks --json
    """
    names = choose_benchmarks(name or "all24")
    locked = {item.name: item for item in locked_files.load_datasets(locks or checkout.root() / "locks")}
    entries = [describe_benchmark(one, locked[one.name], data) for one in matrix.BENCHMARKS if one.name in names]
    own = [item.name for item in inventory.foreign_data(data, locked.values())] if data else []
    if as_json:
        print_json({"benchmarks": entries, "own": own})
    elif name:
        click.echo("\n\n".join("\n".join(detail_lines(one)) for one in entries))
    else:
        console().print(_table(entries))
        click.echo(NOTES)
        if own or data is None:
            click.echo(f"of your own there: {', '.join(own)}" if own else ELSEWHERE)


def describe_benchmark(one: Benchmark, locked: LockedData, data: Path | None) -> dict[str, Any]:
    """Return the values of one benchmark; `data` is the folder of the tables."""
    item = inventory.data_item(locked, data, quick=True) if data else None
    return {
        **asdict(one),
        "file": locked.file,
        "url": locked.url,
        "md5": locked.md5,
        "sha256": locked.sha256,
        "size": item.size if item and item.size else locked.size,
        "edition": locked.edition,
        "editions": [edition.name for edition in locked.editions],
        "state": item.state if item else None,
        "notes": list(item.notes) if item else [],
    }


def _table(entries: Sequence[Mapping[str, Any]]) -> Table:
    made = Table("benchmark", "type", box=None, pad_edge=False)
    made.add_column("rows", justify="right")
    for heading in ("figure", "matrix", "size", "here"):
        made.add_column(heading)
    for one in entries:
        made.add_row(
            one["name"],
            one["kind"],
            str(one["rows"]),
            _figure(one),
            "extra" if one["extra"] else "yes",
            size_text(one["size"]) if one["size"] else "-",
            one["state"] or "-",
        )
    return made


def _figure(one: Mapping[str, Any]) -> str:
    """Return the reported metric's name, without the split it is of."""
    return ", ".join(dict.fromkeys(name.rpartition("|")[2] for name in one["headline"]))


def detail_lines(one: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one benchmark's values."""
    rows = {
        "benchmark": f"{one['name']} ({'all24 only' if one['extra'] else 'in the matrix'})",
        "type": one["kind"],
        "rows": f"about {one['rows']}",
        "figure": f"{_figure(one)} of VLMEvalKit, reported as 0 to 100",
        "file": one["file"],
        "address": one["url"] or "unknown: put the file into the data folder, or fetch with --mirror",
        "md5": one["md5"],
        "sha256": one["sha256"] or f"not recorded yet: vldock fetch data {one['name']} --data FOLDER --record",
        "editions": f"{', '.join(one['editions'])}; in use: {one['edition']}" if one["editions"] else "one",
        "here": one["state"] and f"{one['state']}{', ' + size_text(one['size']) if one['size'] else ''}",
        "fetch": f"vldock fetch data {one['name']} --data FOLDER",
    }
    yield from (f"{heading:<11}{text}" for heading, text in rows.items() if text)
    yield from (f"{'':<11}{note}" for note in one["notes"])
