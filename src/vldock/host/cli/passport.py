"""`vldock passport`: the origin of a score, and why two scores differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from vldock.common import passport
from vldock.common.errors import InputRefused
from vldock.common.passport import Difference
from vldock.host.cli import options
from vldock.host.util.console import print_json

PLACE = click.Path(exists=True, path_type=Path)


@click.group(name="passport")
def passport_group() -> None:
    """Show where a score came from, or why two scores differ.

    \b
    Examples:
      vldock passport show outputs/20260101-120000/llava_v1.5_7b/POPE
      vldock passport diff outputs/20260101-120000 outputs/20260301-120000
    """


@passport_group.command(name="show")
@click.argument("place", type=PLACE)
@options.json_option()
def show_command(place: Path, as_json: bool) -> None:
    """Print the passports of PLACE.

    PLACE is a passport, the folder of a cell, or the folder of a run.

    \b
    Examples:
      vldock passport show outputs/20260101-120000/llava_v1.5_7b/POPE/passport.json
    """
    found = [passport.load(path) for path in passport.find(place)]
    if as_json:
        print_json(found)
        return
    for item in found:
        click.echo(_name(item))
        for name, value in lines(item):
            click.echo(f"  {name:<28} {value}")


def lines(item: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (field, value) of a passport, files and samples counted instead of listed."""
    rows: list[tuple[str, str]] = []
    for aspect, fields in item.items():
        if not isinstance(fields, dict):
            if aspect not in ("schema", "model", "benchmark"):
                rows.append((aspect, str(fields)))
            continue
        for name, value in fields.items():
            if name in ("files", "samples", "cut"):
                value = f"{len(value)}"
            rows.append((f"{aspect}.{name}", "-" if value is None else str(value)))
    return rows


@passport_group.command(name="diff")
@click.argument("first", type=PLACE)
@click.argument("second", type=PLACE)
@options.json_option()
def diff_command(first: Path, second: Path, as_json: bool) -> int:
    """Show changes between two scores, and their possible effects.

    A change is of image, code, weights, data, prompts, generation, judge or hardware.

    FIRST and SECOND are passports, or folders: then their cells are paired by model and benchmark. Exit code 0 when
    nothing changed, 1 when something did, 4 where there is no passport.

    \b
    Examples:
      vldock passport diff old/passport.json new/passport.json
      vldock passport diff outputs/20260101-120000 outputs/20260301-120000 --json
    """
    pairs, alone = pair_passports(first, second)
    found = {name: passport.differences(*pair) for name, pair in pairs.items()}
    if as_json:
        cells = {name: [{**asdict(one), "word": one.word, "effect": one.effect} for one in rows]
                 for name, rows in found.items()}  # fmt: skip
        print_json({"same": not any(found.values()) and not alone, "cells": cells, "alone": alone})
    else:
        for name, rows in found.items():
            click.echo("\n".join([f"{name}: {verdict(rows)}", *explain(rows)]))
        for line in alone:
            click.echo(line)
    return 1 if any(found.values()) or alone else 0


def pair_passports(first: Path, second: Path) -> tuple[dict[str, tuple[dict[str, Any], dict[str, Any]]], list[str]]:
    """Return pairs of passports by cell, and the unpaired cells.

    The pairs are {cell: both passports}; each cell of one side only has a line. Two single passports are a pair
    whatever they are of. Raises InputRefused where nothing can be paired.
    """
    sides = [[passport.load(path) for path in passport.find(place)] for place in (first, second)]
    if len(sides[0]) == len(sides[1]) == 1:
        return {_name(sides[0][0]): (sides[0][0], sides[1][0])}, []
    one, two = ({_name(item): item for item in side} for side in sides)
    pairs = {name: (one[name], two[name]) for name in one if name in two}
    if not pairs:
        raise InputRefused(f"{first} and {second} have no cell in common", expected="the same models and benchmarks")
    alone = [f"{name}: only in {first}" for name in one if name not in two]
    return pairs, [*alone, *(f"{name}: only in {second}" for name in two if name not in one)]


def _name(item: dict[str, Any]) -> str:
    return f"{item['model']} x {item['benchmark']}"


def verdict(rows: list[Difference]) -> str:
    """Return 'same', or the kinds that differ."""
    return "same" if not rows else "moved: " + ", ".join(dict.fromkeys(row.word for row in rows))


def explain(rows: list[Difference]) -> list[str]:
    """Return each difference, grouped by kind, with the possible effect of the kind."""
    text = []
    for word in dict.fromkeys(row.word for row in rows):
        mine = [row for row in rows if row.word == word]
        text.append(f"  {word}: {mine[0].effect}")
        text += [f"    {row.field}: {row.first} -> {row.second}" for row in mine[:12]]
        text += [f"    and {len(mine) - 12} more"] if len(mine) > 12 else []
    return text
