"""Checks of a run's tables.

They run before anything is loaded, and while a benchmark is built.
Results are cached in this process, and those that took long beside the caches, until the file changes.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from vldock.common.errors import InputRefused, UsageError
from vldock.common.filesystem.atomic import write_json
from vldock.common.tables import TableCheck, check_table
from vldock.common.tables import images as table_images
from vldock.image.process import source_digest
from vldock.image.startup.data_root import lmu_data_root
from vldock.image.vlmeval_hooks.files import image_paths, local_copy, tsv
from vldock.image.vlmeval_hooks.files import table_images as table_pictures
from vldock.image.vlmeval_hooks.process import ranks
from vldock.image.weights import file_hashes

LONG = 1.0  # seconds from which on a check is cached on disk
KEPT = 40  # checks cached there
THREADS = min(8, os.cpu_count() or 1)

_limit: list[int | None] = [None]
_known: dict[tuple[Any, ...], TableCheck] = {}


def check_run(args: Any) -> list[str]:
    """Return one line per flaw of the run's refused tables.

    Records the run's row limit.
    """
    names = _names_of(args.config) if args.config is not None else list(args.data or [])
    return [line for name in names for line in check_benchmark(name, args.limit)]


def check_benchmark(name: str, limit: int | None) -> list[str]:
    """Return one line per flaw of a benchmark's refused table.

    No lines where the table is accepted, or is not there (yet).
    """
    _limit[0] = limit
    path, check = path_of(name), load_check(name)
    if check is None or not check.refused:
        return []
    flaws = [f"{path.name}: {line}" for line in check.lines()]
    return [*flaws, f"{path} is refused for {len(flaws)} flaw{'s' if len(flaws) > 1 else ''}; no question was asked"]


def path_of(name: str) -> Path:
    """Return the path of a benchmark's table."""
    return lmu_data_root() / f"{name}.tsv"


def load_check(name: str) -> TableCheck | None:
    """Return the cached or fresh check of a benchmark's table.

    None for a benchmark without a table.
    It covers as many rows as this run evaluates.
    """
    path = path_of(name)
    if not path.is_file() or _is_video(name):
        return None
    local_copy.drop_stale(path)
    mark = _mark(path)
    key = (str(path), *mark, _limit[0])
    if key not in _known:
        _known[key] = _read_cached(path, mark) or _run_check(name, path, mark)
    return _known[key]


def prepare_table(dataset: Any, table: Any) -> Any:
    """Return a benchmark's table in a form readable by VLMEvalKit.

    Prints the findings of the check.
    A missing index is added, `data:` prefixes of images are removed, files are found below $LMUData. Raises
    InputRefused for a table `check_run` would refuse: one that was downloaded in the meantime.
    """
    name = str(dataset.dataset_name)
    path, check = path_of(name), load_check(name)
    if getattr(dataset, "data_path", None) is None and path.is_file():
        dataset.data_path = str(path)
    if check is not None:
        _require(path, check)
        _report(name, check)
    dataset.vldock_check = check
    local_copy.record_source(path)
    if "index" not in table:
        table.insert(0, "index", list(range(1, len(table) + 1)))
    if "image" in table:
        table["image"] = [_plain(cell) for cell in table["image"]]
    taken_out = local_copy.path_of(path).is_file()  # VLMEvalKit has extracted the images of a table above 1 GB
    folder = Path(tsv.image_root(name, str(path))).name if taken_out else name
    shared = check is not None and "picture-path" in check.counts
    if names := image_paths.resolve_cells(table, root=path.parent, folder=folder, separate=shared):
        dataset.dump_image = partial(image_paths.dump_under_own_name, dataset.dump_image, names)
    dataset.vldock_files = "image_path" in table and "image" not in table and not taken_out
    return table


def count_findings(dataset: Any) -> dict[str, int]:
    """Return {kind: rows} of the findings reported for a built benchmark."""
    parts = getattr(dataset, "dataset_map", None) or {"": dataset}
    checks = [check for part in parts.values() if (check := getattr(part, "vldock_check", None))]
    return dict(sum((Counter(check.findings) for check in checks), Counter[str]()))


def _names_of(config: str) -> list[str]:
    """Return the tables named by a --config file.

    `dataset` of each entry, else its key.
    """
    try:
        asked = json.loads(Path(config).read_text(encoding="utf-8"))["data"]
        return [str((entry or {}).get("dataset", key)) for key, entry in asked.items()]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(
            f"--config {config}: {error!r}", expected='a JSON file {"model": {...}, "data": {...}}'
        ) from error


def _is_video(name: str) -> bool:
    from vlmeval.dataset.video_dataset_config import supported_video_datasets

    return name in supported_video_datasets


def _run_check(name: str, path: Path, mark: list[int]) -> TableCheck:
    from vlmeval.dataset import SUPPORTED_DATASETS

    began = time.monotonic()
    check = check_table(
        path,
        name=name,
        root=path.parent,
        own=name not in SUPPORTED_DATASETS,
        decode=table_pictures.why_broken,
        limit=_limit[0],
        threads=THREADS,
    )
    if time.monotonic() - began >= LONG:
        _cache(path, mark, check)
    return check


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _cache_file() -> Path:
    return file_hashes.cache_path().with_name("table_looks.json")


def _read_cached(path: Path, mark: list[int]) -> TableCheck | None:
    try:
        known = json.loads(_cache_file().read_text(encoding="utf-8"))[str(path)]
        same = known["mark"] == mark and known["limit"] == _limit[0] and known["code"] == _code()
        return TableCheck.from_json(known["look"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cache(path: Path, mark: list[int], check: TableCheck) -> None:
    """Cache a check on disk.

    An unwritable cache costs the next run the same time, and nothing else.
    """
    try:
        known = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known.pop(str(path), None)
    known[str(path)] = {"mark": mark, "limit": _limit[0], "code": _code(), "look": check.as_json()}
    try:
        write_json(_cache_file(), dict(list(known.items())[-KEPT:]))
    except OSError:
        return


def _code() -> str:
    return source_digest.sources_digest("vldock.common.tables")


def _require(path: Path, check: TableCheck) -> None:
    if check.refused:
        lines = list(check.lines())[:3]
        raise InputRefused(
            f"{path}: {'; '.join(lines)}", hint=f"on the host, every flaw: vldock check data {path.stem} --data FOLDER"
        )


def _report(name: str, check: TableCheck) -> None:
    if ranks.rank() == 0:
        for line in check.lines():
            print(f"TABLE {name}: {line}", flush=True)


def _plain(cell: Any) -> Any:
    """Return an image cell without `data:image/png;base64,`."""
    if not isinstance(cell, str) or "data:" not in cell[:24].lower():
        return cell
    return re.sub(table_images.DATA_URI, "", cell) if cell.startswith("[") else table_images.without_uri(cell)
