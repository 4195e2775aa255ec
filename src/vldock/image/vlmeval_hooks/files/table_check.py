"""The look at the tables of a run before anything is loaded, and what it says of each while it is built.

Looks are remembered: in this process, and those that took long beside the caches, until the file changes.
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

LONG = 1.0  # seconds from which on a look is remembered beside the caches
KEPT = 40  # looks that are remembered there
THREADS = min(8, os.cpu_count() or 1)

_limit: list[int | None] = [None]
_known: dict[tuple[Any, ...], TableCheck] = {}


def check_run(args: Any) -> list[str]:
    """Return a line for every flaw of a table of this run that must not be asked; remember how many rows it asks."""
    names = _names_of(args.config) if args.config is not None else list(args.data or [])
    return [line for name in names for line in check_benchmark(name, args.limit)]


def check_benchmark(name: str, limit: int | None) -> list[str]:
    """Return the flaws of one table, a line each, where it is refused; none where it is not there (yet)."""
    _limit[0] = limit
    path, seen = path_of(name), load_check(name)
    if seen is None or not seen.refused:
        return []
    flaws = [f"{path.name}: {line}" for line in seen.lines()]
    return [*flaws, f"{path} is refused for {len(flaws)} flaw{'s' if len(flaws) > 1 else ''}; no question was asked"]


def path_of(name: str) -> Path:
    """Return where the table of a benchmark lies."""
    return lmu_data_root() / f"{name}.tsv"


def load_check(name: str) -> TableCheck | None:
    """Return the look at the table of a benchmark, for as many rows as this run asks; None where there is no table."""
    path = path_of(name)
    if not path.is_file() or _is_video(name):
        return None
    local_copy.drop_stale(path)
    mark = _mark(path)
    key = (str(path), *mark, _limit[0])
    if key not in _known:
        _known[key] = _recalled(path, mark) or _fresh(name, path, mark)
    return _known[key]


def prepare_table(dataset: Any, table: Any) -> Any:
    """Return the table of a benchmark that is being built, as VLMEvalKit can read it, and tell what the look found.

    An index is made where there is none, `data:` before a picture goes, files are found below $LMUData. Raises
    InputRefused for a table that `refusals` would not let begin: one that was downloaded meanwhile.
    """
    name = str(dataset.dataset_name)
    path, seen = path_of(name), load_check(name)
    if getattr(dataset, "data_path", None) is None and path.is_file():
        dataset.data_path = str(path)
    if seen is not None:
        _require(path, seen)
        _tell(name, seen)
    dataset.vldock_check = seen
    local_copy.record_source(path)
    if "index" not in table:
        table.insert(0, "index", list(range(1, len(table) + 1)))
    if "image" in table:
        table["image"] = [_plain(cell) for cell in table["image"]]
    taken_out = local_copy.path_of(path).is_file()  # VLMEvalKit has written the pictures of a table above 1 GB
    folder = Path(tsv.image_root(name, str(path))).name if taken_out else name
    shared = seen is not None and "picture-path" in seen.counts
    if names := image_paths.resolve_cells(table, root=path.parent, folder=folder, apart=shared):
        dataset.dump_image = partial(image_paths.dump_under_own_name, dataset.dump_image, names)
    dataset.vldock_files = "image_path" in table and "image" not in table and not taken_out
    return table


def count_findings(dataset: Any) -> dict[str, int]:
    """Return {kind: rows} of what the look told of a built benchmark."""
    parts = getattr(dataset, "dataset_map", None) or {"": dataset}
    looks = [seen for part in parts.values() if (seen := getattr(part, "vldock_check", None))]
    return dict(sum((Counter(seen.findings) for seen in looks), Counter[str]()))


def _names_of(config: str) -> list[str]:
    """Return the tables a --config file names: `dataset` of each entry, else its key."""
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


def _fresh(name: str, path: Path, mark: list[int]) -> TableCheck:
    from vlmeval.dataset import SUPPORTED_DATASETS

    began = time.monotonic()
    seen = check_table(
        path,
        name=name,
        root=path.parent,
        own=name not in SUPPORTED_DATASETS,
        decode=table_pictures.why_broken,
        limit=_limit[0],
        threads=THREADS,
    )
    if time.monotonic() - began >= LONG:
        _remember(path, mark, seen)
    return seen


def _mark(path: Path) -> list[int]:
    seen = path.stat()
    return [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]


def _memory() -> Path:
    return file_hashes.cache_path().with_name("table_looks.json")


def _recalled(path: Path, mark: list[int]) -> TableCheck | None:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))[str(path)]
        same = known["mark"] == mark and known["limit"] == _limit[0] and known["code"] == _code()
        return TableCheck.from_json(known["look"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, mark: list[int], seen: TableCheck) -> None:
    """Keep a look; a cache that cannot be written costs the next run the same time, and nothing else."""
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known.pop(str(path), None)
    known[str(path)] = {"mark": mark, "limit": _limit[0], "code": _code(), "look": seen.as_json()}
    try:
        write_json(_memory(), dict(list(known.items())[-KEPT:]))
    except OSError:
        return


def _code() -> str:
    return source_digest.sources_digest("vldock.common.tables")


def _require(path: Path, seen: TableCheck) -> None:
    if seen.refused:
        lines = list(seen.lines())[:3]
        raise InputRefused(f"{path}: {'; '.join(lines)}", hint=f"vldock check data {path.stem} lists every flaw")


def _tell(name: str, seen: TableCheck) -> None:
    if ranks.rank() == 0:
        for line in seen.lines():
            print(f"TABLE {name}: {line}", flush=True)


def _plain(cell: Any) -> Any:
    """Return an image cell without `data:image/png;base64,`."""
    if not isinstance(cell, str) or "data:" not in cell[:24].lower():
        return cell
    return re.sub(table_images.DATA_URI, "", cell) if cell.startswith("[") else table_images.without_uri(cell)
