"""Command line of test_hf_cache.py: reads a data set without a network.

Checks, step by step, that training can read its data.

Exit status: 0 read; 2 wrong arguments, a model's name or several configurations; 3 not cached, no token, no space or no
permission; 4 partly cached, unreadable, or a network was used.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, UsageError, VldockError
from vldock.common.filesystem.permissions import can_write, nearest_existing
from vldock.common.matrix import MODELS
from vldock.image.offline import mode
from vldock.image.offline.cached import END_OF_STREAM, Cached, arrow_root, find, hub_root, image_arrow_root
from vldock.image.weights.hub_snapshots import cache_root

STEPS = 6
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def main(argv: Sequence[str]) -> int:
    """Show the steps and return the exit status."""
    parser = argparse.ArgumentParser(prog="test_hf_cache.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", metavar="ORG/NAME", help="the data set; omitted with --self-test")
    parser.add_argument("--config", help="its configuration, if it has several")
    parser.add_argument("--split", help='for example "train[:100]"; default: all')
    parser.add_argument("--cache-dir", type=Path, help="default: $HF_DATASETS_CACHE")
    parser.add_argument("--self-test", action="store_true", help="use a tiny data set in a temporary cache")
    args = parser.parse_args(argv)
    if bool(args.name) is args.self_test:
        parser.error("name a data set, or give --self-test")
    try:
        if args.self_test:
            with tempfile.TemporaryDirectory(prefix="vldock-self-test-") as folder:
                show(_tiny(Path(folder)), None, args.split, Path(folder))
        else:
            show(args.name, args.config, args.split, args.cache_dir)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    print("PASS: training can read this data without a network")
    return 0


def show(name: str, config: str | None, split: str | None, cache_dir: Path | None) -> None:
    """Print each step of loading a data set.

    Raises the errors of vldock.image.offline.errors, and InputRefused where a network was used.
    """
    root, hub = cache_dir or arrow_root(), hub_root()
    before = {variable: os.environ.get(variable) for variable in mode.VARIABLES}
    _head(1, "offline setting", str(mode.current()))
    also = () if cache_dir else image_arrow_root(root)
    _head(2, "folders", *(_folder(folder) for folder in (root, *also, hub)))
    held = find(name, arrow=root, hub=hub, also=also)
    _head(3, f"what the cache holds of {name}", *_held(held))
    if not (held.prepared or held.snapshots) and _is_model(name):
        raise UsageError(
            f"{name} is a model's name, and this script reads data sets",
            expected="ORG/NAME of a data set",
            hint=f"on the host: vldock check weights {name} --cache FOLDER",
        )
    print(f"[4/{STEPS}] load {name} by name, every connection refused")
    with refuse_network() as attempts:
        from vldock.image.offline.load import load

        loaded = load(name, config, split=split, cache_dir=cache_dir, on_step=lambda step: print(f"      {step}"))
        _head(5, "read it as training does", *_read(loaded.dataset))
    _head(6, "afterwards", f"{len(attempts)} connections asked for", f"offline setting: {mode.current()}")
    if attempts:
        raise InputRefused(f"a network was asked for: {', '.join(sorted(set(attempts)))}", expected="none")
    if before != {variable: os.environ.get(variable) for variable in mode.VARIABLES}:
        raise InputRefused("the offline setting was changed", expected=str(before))


def _is_model(name: str) -> bool:
    """Return whether a name is a declared model's, or of a model in the cache."""
    declared = {known for model in MODELS for known in (model.name, model.repo, *model.needs)}
    return name in declared or hub_cache_layout.folder(cache_root(os.environ), name).is_dir()


@contextmanager
def refuse_network() -> Iterator[list[str]]:
    """Refuse every internet connection and look-up in the block.

    Those of this process; yields the list of them.
    """
    noted: list[str] = []
    active = True

    def audit(event: str, details: tuple[Any, ...]) -> None:
        local = event == "socket.connect" and isinstance(details[-1], str | bytes)  # a path: a Unix socket
        if active and event in NETWORK and not local:
            noted.append(f"{event} {details}")
            raise ConnectionRefusedError(f"test_hf_cache.py refuses {event}")

    sys.addaudithook(audit)  # cannot be removed; it does nothing after the block
    try:
        yield noted
    finally:
        active = False


def _head(number: int, title: str, *lines: str) -> None:
    print(f"[{number}/{STEPS}] {title}")
    for line in lines:
        print(f"      {line}")


def _folder(folder: Path) -> str:
    there = nearest_existing(folder)
    access = "writable" if can_write(folder) else "read-only: Arrow files made anew go to a temporary folder"
    state = access if folder.is_dir() else "not there"
    return f"{folder}: {state}, {shutil.disk_usage(there).free / 1e9:.1f} GB free"


def _held(held: Cached) -> list[str]:
    lines = [f"Arrow {one.config} {one.hash[:12]} ({', '.join(one.splits)}){_lacks(one)}" for one in held.prepared]
    lines += [f"snapshot {one.commit[:12]}: {len(one.files)} data files{_lacks(one)}" for one in held.snapshots]
    return [*lines, *(f"unfinished {path}" for path in held.unfinished)] or ["nothing"]


def _lacks(one: Any) -> str:
    return f", lacks {', '.join(one.missing[:3])}" if one.missing else ""


def _read(dataset: Any) -> list[str]:
    """Read the first, middle and last row of every split.

    Returns one line for each split.
    """
    splits = dataset if hasattr(dataset, "keys") else {"data": dataset}
    lines = []
    for name, rows in splits.items():
        for index in {0, len(rows) // 2, len(rows) - 1} if len(rows) else ():
            rows[index]
        lines.append(f"{name}: {len(rows)} rows of {', '.join(rows.column_names)}; first, middle and last read")
    return lines


def _tiny(root: Path) -> str:
    """Write the cache of a tiny data set; return its name.

    Its files are as the datasets library leaves them.
    """
    import pyarrow as pa

    name = "vldock/self-test"
    folder = root / "vldock___self-test" / "default" / "0.0.0" / ("0" * 40)
    folder.mkdir(parents=True)
    table = pa.table({"label": [0, 1, 2], "text": ["daisy", "rose", "tulip"]})
    with pa.OSFile(str(folder / "self-test-train.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    assert (folder / "self-test-train.arrow").read_bytes().endswith(END_OF_STREAM)
    features = {"label": {"dtype": "int64", "_type": "Value"}, "text": {"dtype": "string", "_type": "Value"}}
    split = {"name": "train", "num_bytes": table.nbytes, "num_examples": 3, "dataset_name": "self-test"}
    info = {
        "features": features, "builder_name": "parquet", "dataset_name": "self-test", "config_name": "default",
        "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0}, "splits": {"train": split},
    }  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    return name
