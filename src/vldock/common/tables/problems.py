"""Kinds of problems of a table: refusals, remarks, and the remedy of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN = 50  # flaws of one kind that are listed by row; the rest are counted

# kind: (what it is, what to do about it). These refuse the table: a run would stop, or lose or change data unseen.
ERRORS = {
    "empty": ("the table has no rows", "write a header line and one line for each sample"),
    "nul": ("NUL byte", "write the table anew; tr -d '\\000' < OLD > NEW drops them"),
    "encoding": ("not UTF-8", "iconv -f ITS-ENCODING -t UTF-8 OLD > NEW"),
    "quote": ("an opened quote swallows the next rows", 'close it, or write a cell with quotes as "a ""word"" in it"'),
    "ragged": ("another number of cells than the header", "one tab between two cells; quote a cell with a line break"),
    "column": ("columns", "name each column once; a table of your own needs `question`"),
    "index-twice": ("index used twice", "number the rows anew: predictions are kept by index"),
    "index-empty": ("index that is no index", "number the rows anew"),
    "reference": ("image that is neither a picture nor another row's index", "put the picture's base64 in the cell"),
    "list": ("[...] that is no list of texts", "write a list as ['a', 'b']"),
    "path-outside": ("path that leaves the pictures' folder", "name a file below the folder, without .."),
    "picture-file": ("picture file that is not there", "put it below $LMUData, or mend image_path"),
    "picture-name": ("two pictures under one file name", "give the rows other indices"),
}
# These are reported and counted; the report states what becomes of the row.
REMARKS = {
    "picture-lost": ("picture that cannot be decoded", "its sample gets no prediction; replace the picture"),
    "no-picture": ("row without a picture", "VLMEvalKit leaves it out"),
    "missing-word": (
        "word that pandas takes for an empty cell",
        "asked as written; VLDOCK_UPSTREAM_MISSING=1 leaves it out as VLMEvalKit does",
    ),
    "picture-path": ("two pictures under one image_path", "each is kept under a name of its own"),
    "not-offered": ("answer that is not among the options", "scored as VLMEvalKit does: nearly always wrong"),
    "marker": ("image marker in a text", "asked as text"),
    "index-made": ("no column `index`", "rows are numbered from 1"),
    "quote-dropped": ("text after a closing quote", "read without the quotes"),
}
KINDS = {**ERRORS, **REMARKS}


@dataclass(frozen=True)
class Flaw:
    """Problem of a table: kind, line, index and value.

    The index is the row's, where it has one; the value is the one in the table.
    """

    kind: str
    line: int
    index: str | None
    said: str

    @property
    def refuses(self) -> bool:
        """Whether the table is refused for it."""
        return self.kind in ERRORS

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", index {_short(self.index)}" if self.index is not None else "")
        what, cure = KINDS[self.kind]
        return f"{where}: {what}: {self.said} ({cure})"


@dataclass(frozen=True)
class TableCheck:
    """The check of a table: rows, problems by kind, samples without an image.

    `lost` is {index: why its image cannot be decoded}, of the rows to answer.
    """

    rows: int
    counts: Mapping[str, int]
    flaws: tuple[Flaw, ...]
    lost: Mapping[str, str]

    @property
    def refused(self) -> bool:
        """Whether a run must not begin with this table."""
        return any(kind in ERRORS for kind in self.counts)

    @property
    def findings(self) -> dict[str, int]:
        """Return {kind: rows} of the remarks, for cell.json and the passport."""
        return {kind: count for kind, count in self.counts.items() if kind in REMARKS}

    def lines(self) -> Iterator[str]:
        """Yield the lines of the problems found.

        Each listed problem has a line, and so has each kind with more of them.
        """
        for flaw in sorted(self.flaws, key=lambda flaw: (not flaw.refuses, flaw.line)):
            yield str(flaw)
        for kind, count in self.counts.items():
            if count > SHOWN:
                yield f"and {count - SHOWN} more: {KINDS[kind][0]}"

    def as_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` makes the same check of them."""
        flaws = [[flaw.kind, flaw.line, flaw.index, flaw.said] for flaw in self.flaws]
        return {"rows": self.rows, "counts": dict(self.counts), "flaws": flaws, "lost": dict(self.lost)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TableCheck:
        """Return the check written by `as_json`.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        flaws = tuple(Flaw(*one) for one in value["flaws"])
        return cls(value["rows"], dict(value["counts"]), flaws, dict(value["lost"]))


@dataclass
class FlawCollector:
    """Collector of problems, by kind.

    Of each kind the first SHOWN are listed by row.
    """

    counts: Counter[str] = field(default_factory=Counter)
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, kind: str, line: int, said: str, *, index: str | None = None) -> None:
        """Add one."""
        self.counts[kind] += 1
        if self.counts[kind] <= SHOWN:
            self.flaws.append(Flaw(kind, line, index, said))


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:37]}..."
