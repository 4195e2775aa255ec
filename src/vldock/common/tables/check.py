"""check_table(): one pass over a table's file, every problem with its row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vldock.common.tables import images as table_images
from vldock.common.tables import reader as table_reader
from vldock.common.tables import texts
from vldock.common.tables.images import Decode
from vldock.common.tables.problems import FlawCollector, TableCheck
from vldock.common.tables.reader import Record

PLACED = ("MMMU", "LEGO")  # benchmarks whose texts say <image 1> where an image belongs
FEW = 16  # rows for which starting threads takes longer than decoding
WAITING = 64  # images waiting to be decoded


def check_table(
    path: Path, *, name: str, root: Path, own: bool, decode: Decode, limit: int | None = None, threads: int = 1
) -> TableCheck:
    """Return the check of a table called `name`, with images below `root`.

    Raises OSError where it cannot be read.

    The whole file is read. Remarks and images are of the first `limit` rows, those to answer. `own`: a user's own
    table, not a benchmark whose class in VLMEvalKit brings its columns and files.
    """
    few = limit is not None and limit <= FEW
    with _AtOnce() if few else ThreadPoolExecutor(max(1, threads)) as pool:
        table = _Table(name, root, own=own, decode=decode, limit=limit, pool=pool)
        for record in table_reader.records(path, table.flaws):
            table.add(record)
        return table.look()


class _AtOnce(Executor):
    """An executor that runs each call before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the finished call."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class _Table:
    def __init__(self, name: str, root: Path, *, own: bool, decode: Decode, limit: int | None, pool: Executor) -> None:
        self.name, self.root, self.own, self.decode, self.limit, self.pool = name, root, own, decode, limit, pool
        self.flaws = FlawCollector()
        self.header: list[str] = []
        self.place: dict[str, int] = {}
        self.rows = self.asked = 0
        self.indices: dict[str, int] = {}  # as written: line
        self.numbers: dict[str, tuple[str, int]] = {}  # as a number: as written, line
        self.short: list[tuple[str, _Row, bool]] = []  # short image cells, and whether they will be asked
        self.files: dict[str, int] = {}  # name of an image's file: hash of its cell
        self.lost: dict[str, str] = {}
        self.waiting: deque[tuple[int, str, list[Future[str | None]]]] = deque()

    def add(self, record: Record) -> None:
        """Check one row, the header first."""
        if not self.header:
            self._add_header(record)
            return
        self.rows += 1
        row = _Row(record, self.place, number=self.rows)
        if len(record.cells) != len(self.header):
            said = f"{len(record.cells)} cells, the header has {len(self.header)}"
            self.flaws.add("ragged", record.line, said, index=row.index or None)
        self._index(row)
        dropped = "image" in self.place and not row["image"]
        asked = not dropped and (self.limit is None or self.asked < self.limit)
        self.asked += asked
        if dropped and (self.limit is None or self.asked < self.limit):
            beside = f", and image_path {row['image_path'][:80]!r} beside it is not read" if row["image_path"] else ""
            self.flaws.add("no-picture", row.line, f"image is empty{beside}", index=row.index)
        if asked:
            texts.check(row, self.header, self.flaws)
            if self.name.startswith(PLACED):
                texts.check_places(row, self.header, self.flaws)
        if len(record.cells) == len(self.header):
            self._pictures(row, asked=asked)

    def _add_header(self, record: Record) -> None:
        self.header = record.cells
        for column in dict.fromkeys(self.header):
            if self.header.count(column) > 1:
                self.flaws.add("column", record.line, f"{column!r} is there {self.header.count(column)} times")
        self.place = {column: place for place, column in enumerate(self.header)}
        if self.own and "question" not in self.place:
            self.flaws.add("column", record.line, f"no `question` among {', '.join(self.header)[:120]}")
        if "index" not in self.place:
            self.flaws.add("index-made", record.line, f"columns are {', '.join(self.header)[:120]}")

    def _index(self, row: _Row) -> None:
        if "index" not in self.place:
            return
        text = row.index
        number = table_images.as_number(text)
        if text in texts.MISSING:
            self.flaws.add("index-empty", row.line, f"{text!r}")
        elif text in self.indices:
            self.flaws.add("index-twice", row.line, f"{text!r} is the index of line {self.indices[text]}", index=text)
        elif number in self.numbers:
            other, line = self.numbers[number]
            self.flaws.add("index-twice", row.line, f"{text!r} is read as {other!r} of line {line}", index=text)
        self.indices.setdefault(text, row.line)
        self.numbers.setdefault(number, (text, row.line))

    def _pictures(self, row: _Row, *, asked: bool) -> None:
        try:
            cells = table_images.split_cell(row["image"])
            names = table_images.split_cell(row["image_path"]) if row["image_path"] else []
        except ValueError as error:
            self.flaws.add("list", row.line, str(error), index=row.index)
            return
        if "image" not in self.place:
            self._files(row, names, asked=asked)
            return
        for name in filter(table_images.leaves_folder, names):
            self.flaws.add("path-outside", row.line, name, index=row.index)
        if not row["image"]:
            return
        if len(row["image"]) <= table_images.REFERENCE_UP_TO:
            self.short.append((row["image"], row, asked))
        else:
            numbered = [f"{row.index}_{number}.png" for number in range(len(cells))]
            made = numbered if len(cells) > 1 else [f"{row.index}.png"]
            if not names and any(map(table_images.leaves_folder, made)):
                self.flaws.add("path-outside", row.line, made[0], index=row.index)
            self._names(row, cells, names or made)
            if asked:
                jobs = [self.pool.submit(table_images.why_broken_base64, cell, self.decode) for cell in cells]
                self._wait(row, jobs)

    def _names(self, row: _Row, cells: Sequence[str], names: Sequence[str]) -> None:
        for cell, name in zip(cells, names, strict=False):
            if self.files.setdefault(name, hash(cell)) != hash(cell) and self.indices.get(row.index) == row.line:
                kind = "picture-path" if row["image_path"] else "picture-name"
                self.flaws.add(kind, row.line, name, index=row.index)

    def _files(self, row: _Row, names: Sequence[str], *, asked: bool) -> None:
        """Check images in files; a benchmark's class provides its own."""
        if self.own and not names and "image_path" in self.place:
            self.flaws.add("picture-file", row.line, "image_path is empty", index=row.index)
        for name in names:
            if table_images.leaves_folder(name, absolute=True):
                self.flaws.add("path-outside", row.line, name, index=row.index)
            elif self.own and (path := table_images.file_of(name, root=self.root, table=self.name)) is None:
                self.flaws.add("picture-file", row.line, name, index=row.index)
            elif self.own and path and asked:
                self._wait(row, [self.pool.submit(_wrong_file, path, self.decode)])

    def _wait(self, row: _Row, jobs: list[Future[str | None]]) -> None:
        self.waiting.append((row.line, row.index, jobs))
        while len(self.waiting) > WAITING:
            self._decoded()

    def _decoded(self) -> None:
        line, index, jobs = self.waiting.popleft()
        causes = [cause for job in jobs if (cause := job.result())]
        if causes:
            self._lose(line, index, causes[0])

    def _references(self) -> None:
        """Check short image cells: another row's index, or a very small image."""
        short = {row.index: cell for cell, row, _ in self.short}
        for cell, row, asked in self.short:
            small = cell in short and table_images.why_broken_base64(short[cell], self.decode) is None
            if table_images.is_reference(cell, self.indices) and (cell not in short or small):
                if asked and cell in self.lost:
                    self._lose(row.line, row.index, self.lost[cell])
            elif table_images.why_broken_base64(cell, self.decode):
                self.flaws.add("reference", row.line, repr(cell), index=row.index)

    def _lose(self, line: int, index: str, cause: str) -> None:
        self.flaws.add("picture-lost", line, cause, index=index)
        self.lost[index] = cause

    def look(self) -> TableCheck:
        """Return the result."""
        while self.waiting:
            self._decoded()
        self._references()
        if not self.rows and not self.flaws.counts:
            self.flaws.add("empty", 1, f"{len(self.header)} columns")
        return TableCheck(self.rows, dict(self.flaws.counts), tuple(self.flaws.flaws), self.lost)


class _Row:
    """One row by its columns; a missing cell is empty."""

    def __init__(self, record: Record, place: dict[str, int], *, number: int) -> None:
        self.line, self._cells, self._place = record.line, record.cells, place
        self.index = self["index"] if "index" in place else str(number)

    def __getitem__(self, column: str) -> str:
        place = self._place.get(column)
        return self._cells[place] if place is not None and place < len(self._cells) else ""


def _wrong_file(path: Path, decode: Decode) -> str | None:
    return decode(path.read_bytes())
