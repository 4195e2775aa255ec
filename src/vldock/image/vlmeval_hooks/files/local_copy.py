"""VLMEvalKit's copy of a table over 1 GB, without its images.

The copy is removed once it is out of date.
Two files beside the copy record its origin: the md5 of the table, and whether the table was read as written.
"""

from __future__ import annotations

from pathlib import Path

from vldock.image.vlmeval_hooks.files import text_changes
from vldock.image.vlmeval_hooks.files.checksums import md5_of

COPIED_FROM = 1 << 30  # bytes from which on VLMEvalKit makes a copy (file_size() in GB)


def path_of(table: Path) -> Path:
    """Return where VLMEvalKit puts the copy of a table."""
    return table.with_name(f"{table.stem}_local.tsv")


def drop_stale(table: Path) -> None:
    """Remove a copy made of another file than `table`.

    The extracted images are moved away with it: upstream keeps an image whose file exists.
    """
    local, images = path_of(table), table.parent / "images" / table.stem
    if not local.is_file() or not table.is_file():
        return
    source = _source(local)
    of_another = source.is_file() and source.read_text(encoding="utf-8").strip() != md5_of(table)
    if of_another or local.stat().st_mtime_ns < table.stat().st_mtime_ns:
        if images.is_dir():
            images.rename(images.with_name(f"{table.stem}-until-{table.stat().st_mtime_ns}"))
        local.unlink()
        source.unlink(missing_ok=True)


def record_source(table: Path) -> None:
    """Write the md5 of `table` beside its copy.

    A time alone can be older than an edit's.
    """
    local = path_of(table)
    if local.is_file() and table.is_file() and not _source(local).is_file():
        _source(local).write_text(md5_of(table) + "\n", encoding="utf-8")


def drop_other_reading(table: Path) -> None:
    """Remove a copy of the table made by another reading.

    A copy as upstream reads the table is removed where this run reads the table as written.
    In such a copy an option "None" is an empty cell. A mark beside it records the reading it was made of.
    """
    if table.stat().st_size <= COPIED_FROM:
        return
    local, mark = path_of(table), table.with_name(f".{table.stem}_local.as-written")
    upstream = text_changes.reads_as_upstream()
    if local.is_file() and not mark.is_file() and not upstream:
        local.unlink()
    if not local.is_file():
        mark.unlink(missing_ok=True) if upstream else mark.touch()


def _source(local: Path) -> Path:
    return local.with_name(f".{local.name}.md5")
