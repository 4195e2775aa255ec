"""Cache of counts of failed predictions and verdicts.

VLMEvalKit counts them at the end of each run.
Its summary shows every benchmark a folder has ever had, and reads all their predictions and verdicts for it: the
twentieth benchmark costs twenty times the first. Counts are cached beside them until one of their files changes.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from vldock.common.filesystem.atomic import write_json

FILE = ".report_counts.json"


class Counts:
    """Cached counts of one model's folder."""

    def __init__(self, run_dir: str | Path) -> None:
        self._path = Path(run_dir) / FILE
        self._known = _read(self._path)
        self._files = sorted(_stamps(self._path.parent))

    def reporter(self, reporter: Any, model: str, benchmark: str) -> Reporter:
        """Return VLMEvalKit's reporter of a benchmark (a dataset class) behind this cache."""
        prefix = f"{model}_{benchmark}"
        return Reporter(reporter, self, benchmark, [stamp for stamp in self._files if stamp[0].startswith(prefix)])

    def get(self, benchmark: str, key: str) -> dict[str, Any] | None:
        """Return the counts cached under a key.

        The key stands for files and arguments.
        """
        found = self._known.get(benchmark, {}).get(key)
        return found if isinstance(found, dict) else None

    def put(self, benchmark: str, key: str, kind: str, counts: dict[str, Any]) -> None:
        """Cache counts in place of older ones of their kind."""
        others = {name: value for name, value in self._known.get(benchmark, {}).items() if not name.startswith(kind)}
        self._known[benchmark] = {**others, key: counts}
        with suppress(OSError):  # a folder that cannot be written costs time, not the report
            write_json(self._path, self._known)


class Reporter:
    """A dataset class with the methods the summary calls."""

    def __init__(self, inner: Any, counts: Counts, benchmark: str, files: list[tuple[str, int, int, int]]) -> None:
        self._inner, self._counts, self._benchmark, self._files = inner, counts, benchmark, files

    def report_infer_err(self, prediction_file: Any) -> dict[str, Any]:
        """Return {failed, total} of the predictions."""
        return self._counted("infer", prediction_file)

    def report_judge_err(self, prediction_file: Any, **arguments: Any) -> dict[str, Any]:
        """Return {failed, total} of the verdicts."""
        return self._counted("judge", prediction_file, **arguments)

    def report_primary_metric(self, metrics: Any) -> Any:
        """Return names and values of the primary metric."""
        return self._inner.report_primary_metric(metrics)

    def _counted(self, kind: str, prediction_file: Any, **arguments: Any) -> dict[str, Any]:
        seen = [*self._files, _stamp(str(prediction_file))]
        key = f"{kind} {json.dumps([seen, sorted(arguments.items())], default=str)}"
        found = self._counts.get(self._benchmark, key)
        if found is None:
            found = getattr(self._inner, f"report_{kind}_err")(prediction_file, **arguments)
            self._counts.put(self._benchmark, key, kind, dict(found))
        return found


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()) else {}


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [_stamped(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return []


def _stamp(path: str) -> tuple[str, int, int, int] | None:
    try:
        return _stamped(path, os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def _stamped(name: str, seen: os.stat_result) -> tuple[str, int, int, int]:
    return name, seen.st_size, seen.st_mtime_ns, seen.st_ino
