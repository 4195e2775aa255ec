"""Record of one cell: cell.json.

It is written in the container and read on the host.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_json

CELL_FILE = "cell.json"
CELL_SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    """Outcome of one model on one benchmark.

    `score` is 0-100 or None; `metric` is VLMEvalKit's name of it and `metrics` all it reported, unscaled.
    `samples` is the number of rows asked, `predictions` the rows answered; `error` is one line or None.
    `seconds` is wall time of the cell without the model load. Times are ISO 8601 in UTC.
    `findings` counts the remarks on the table, by kind (common/tables); records of before have none.
    """

    model: str
    benchmark: str
    status: Literal["succeeded", "failed"]
    standin: bool
    samples: int
    predictions: int
    score: float | None
    metric: str | None
    metrics: dict[str, Any]
    judge: str | None
    error: str | None
    limit: int | None
    seconds: float
    started: str
    finished: str
    attempt: int
    device: str
    dtype: str
    attention: str
    identity: dict[str, Any]
    findings: dict[str, int] = field(default_factory=dict)
    schema: int = CELL_SCHEMA

    def save(self, folder: Path) -> Path:
        """Write cell.json in `folder` atomically and return its path."""
        return write_json(folder / CELL_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Cell | None:
        """Read cell.json of `folder`; None where there is none.

        Raises InputRefused when the file is not a record of this schema.
        """
        path = folder / CELL_FILE
        if not path.exists():
            return None
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            needed = [one for one in fields(cls) if one.name in raw or one.default_factory is MISSING]
            return cls(**{one.name: raw[one.name] for one in needed})
        except (ValueError, KeyError, TypeError) as error:
            raise InputRefused(
                f"{path} is not a cell record: {error}",
                expected=f"JSON of schema {CELL_SCHEMA}",
                hint=f"move {path} away and run the cell again",
            ) from error
