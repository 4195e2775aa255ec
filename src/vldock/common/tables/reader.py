"""Reader of a TSV, split as by pandas' parser.

It reports the places pandas misreads. pandas: a quote opens a cell only at its start, a doubled quote is one, a lone
carriage return ends a row, blank lines are skipped. Source: pandas/_libs/src/parser/tokenizer.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vldock.common.tables.problems import FlawCollector

LONGEST = 64_000_000  # characters a quoted cell may go on over line breaks
BOM = b"\xef\xbb\xbf"
WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16


@dataclass(frozen=True)
class Record:
    """One row: the line it begins on, and its cells."""

    line: int
    cells: list[str]


def records(path: Path, flaws: FlawCollector) -> Iterator[Record]:
    """Yield the rows of a file, the header first.

    What pandas would misread goes to `flaws`.

    A row swallowed by an opened quote is yielded as it was meant. Raises OSError.
    """
    columns = 0
    with path.open("rb") as stream:
        lines = _Lines(_pieces(stream, flaws))
        for number, text in lines:
            if not text.strip():
                continue
            record = _record(number, text, lines, columns, flaws)
            columns = columns or len(record.cells)
            yield record


class _Lines:
    """Numbered lines; a line can be put back."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self._back: deque[tuple[int, str]] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, str]:
        return self._back.popleft() if self._back else next(self._lines)

    def put_back(self, lines: list[tuple[int, str]]) -> None:
        self._back.extendleft(reversed(lines))


def _pieces(stream: Iterator[bytes], flaws: FlawCollector) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(stream, start=1):
        if number == 1 and raw.startswith(WIDE):
            flaws.add("encoding", 1, "UTF-16")
            return
        if b"\0" in raw:
            flaws.add("nul", number, f"at byte {raw.index(0) + 1} of the line")
        body = raw.removeprefix(BOM) if number == 1 else raw
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            flaws.add("encoding", number, f"byte 0x{body[error.start]:02x} at {error.start + 1} of the line")
            text = body.decode("utf-8", errors="replace")
        for part in text.split("\r") if b"\r" in body and b'"' not in body else (text,):
            yield number, part


def _record(number: int, text: str, lines: _Lines, columns: int, flaws: FlawCollector) -> Record:
    """Return the row that begins with this line.

    A quoted cell may go on over the next lines.
    """
    if '"' not in text:
        return Record(number, text.split("\t"))
    taken: list[tuple[int, str]] = []
    whole, length = [text], len(text)
    cells, opened, after = _split(text)
    while opened and length < LONGEST:
        try:
            taken.append(next(lines))
        except StopIteration:
            break
        whole.append(taken[-1][1])
        length += len(whole[-1])
        if '"' in whole[-1]:
            cells, opened, after = _split("\n".join(whole))
    if opened or (taken and _swallowed(cells, columns, after)):
        flaws.add("quote", number, f"{_cell(text)}")
        lines.put_back(taken)
        return Record(number, [cell.removeprefix('"') for cell in text.split("\t")])
    if after:
        flaws.add("quote-dropped", number, _cell(after))
    return Record(number, cells)


def _split(text: str) -> tuple[list[str], bool, str]:
    """Return the cells of a line, and its state of quotes.

    The tuple is (cells, whether the last is still quoted, a cell with text after its quote).
    """
    cells, place, after = list[str](), 0, ""
    while True:
        value, begun = "", place
        if text.startswith('"', place):
            value, place = _quoted(text, place + 1)
            if place < 0:
                return [*cells, value], True, after
        end = text.find("\t", place)
        rest = text[place:] if end < 0 else text[place:end]
        if rest and place > begun:
            after = after or f"{text[begun:place]}{rest}"
        cells.append(value + rest)
        if end < 0:
            return cells, False, after
        place = end + 1


def _quoted(text: str, place: int) -> tuple[str, int]:
    """Return a quoted value and the place after it.

    The value ends at the closing quote; the place is -1 without one.
    """
    pieces: list[str] = []
    while (end := text.find('"', place)) >= 0:
        if not text.startswith('"', end + 1):
            return "".join((*pieces, text[place:end])), end + 1
        pieces.append(text[place : end + 1])
        place = end + 2
    return "".join((*pieces, text[place:])), -1


def _swallowed(cells: list[str], columns: int, after: str) -> bool:
    """Return whether a cell of several lines is whole rows.

    One line has a row's tabs, or its quote ends in mid-word.
    """
    several = [cell for cell in cells if "\n" in cell and "\t" in cell]
    return bool(several) and (bool(after) or any(line.count("\t") == columns - 1 for line in _inner(several)))


def _inner(cells: list[str]) -> Iterator[str]:
    for cell in cells:
        yield from cell.split("\n")[1:-1]


def _cell(text: str) -> str:
    place = max(text.find('"'), 0)
    piece = text[place : place + 40]
    return piece.replace("\n", "\\n").replace("\t", "\\t")
