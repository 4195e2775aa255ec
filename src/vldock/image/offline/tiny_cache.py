"""Cache of a tiny data set, for test_hf_cache.py --self-test."""

from __future__ import annotations

import json
from pathlib import Path

from vldock.image.offline.cached import END_OF_STREAM


def write_tiny(root: Path) -> str:
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
