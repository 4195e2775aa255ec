"""Reader of a user's folder: its form is found, its rows are read, every fault is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.image.heads.episodes import lerobot, tables
from vldock.image.heads.episodes.rows import Episodes, Faults, Row, check

FORMS = ("lerobot", "jsonl", "parquet", "json")
AUTO = "auto"


def read(path: Path, *, form: str = AUTO, name: str = "") -> Episodes:
    """Return the data set of a folder, named after it.

    Raises UsageError where it is none of the forms, InputRefused with all faults of its rows.
    """
    if form not in (AUTO, *FORMS):
        raise UsageError(f"data.form is {form!r}", expected=", ".join((AUTO, *FORMS)))
    if not path.is_dir():
        raise UsageError(f"data.path {path}: no such folder", expected="a folder of episodes")
    form = find_form(path) if form == AUTO else form
    faults = Faults()
    rows = list(_rows(path, form, faults))
    if rows:
        check(rows, faults)
    elif not faults.found:
        faults.add(str(path), f"has no rows ({form})")
    faults.refuse(path)
    return Episodes(name or path.resolve().name, form, tuple(rows[0].pictures), tuple(rows))


def find_form(path: Path) -> str:
    """Return the form of a folder: LeRobot's, else the kind of its row files.

    Raises UsageError where there is none, or more than one.
    """
    if (path / lerobot.INFO).is_file():
        return "lerobot"
    found = [form for form in ("jsonl", "parquet") if _files(path, form)]
    found = found or [form for form in ("json",) if _files(path, form)]
    if len(found) != 1:
        raise UsageError(
            f"data.path {path} holds " + ("both JSONL and parquet files" if found else "no rows"),
            expected="*.jsonl, *.json or *.parquet with episode, image(s), instruction, action; or LeRobot's meta/",
            hint="--set data.form=jsonl" if found else "the forms are in docs/use/policy-heads.md",
        )
    return found[0]


def _files(path: Path, form: str) -> list[Path]:
    return sorted(one for one in path.rglob(f"*.{form}") if one.is_file())


def _rows(path: Path, form: str, faults: Faults) -> Iterator[Row]:
    if form == "lerobot":
        meta = lerobot.read_meta(path, faults)
        if meta:
            yield from lerobot.read(meta, faults)
    elif form == "parquet":
        yield from tables.read_parquet(_files(path, form), path, faults)
    else:
        yield from tables.read_json(_files(path, form), faults)
