"""Identity of a cell: limit, data, judge, weights, build."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldock.common import hashing, inference_options
from vldock.common.build_digest import read_build_digest
from vldock.common.cache_env import LMUDATA
from vldock.common.filesystem import permissions
from vldock.common.matrix import find_model
from vldock.common.prompt_style import UPSTREAM, VARIABLE
from vldock.image.startup import foreign_python
from vldock.image.vlmeval_hooks.files import text_changes
from vldock.image.weights import model_files
from vldock.image.weights.hub_snapshots import snapshot

NOT_YET = ("weights", "weights_sha256")  # None before they were downloaded


def cell_identity(*, model: str, benchmark: str, limit: int | None, standin: bool, judge: str | None) -> dict[str, Any]:
    """Return the identity of a cell.

    A finished cell is reused only while all of it is unchanged.
    Raises EnvironmentUnfit where the benchmark's file or the weights are there and cannot be read.
    """
    try:
        table, revision = table_md5(table_path(benchmark)), weights_revision(model)
        digest = model_files.digest(declared.repo, *declared.needs) if (declared := find_model(model)) else None
    except PermissionError as error:
        raise permissions.read_error(Path(error.filename), permissions.whoami()) from error
    upstream = {"text": "as VLMEvalKit reads it"} if text_changes.reads_as_upstream() else {}
    tower = inference_options.read_tower_attention(os.environ)
    return {
        **upstream,
        **({"tower_attention": tower} if tower != inference_options.EAGER else {}),
        "limit": limit,
        "tsv_md5": table,
        "standin": standin,
        "judge": judge,
        "weights": revision,
        "weights_sha256": digest,
        "prompt": os.environ.get(VARIABLE) or UPSTREAM,
        "engine": inference_options.read_engine(os.environ).describe(),
        "vldock": read_build_digest(),
        **({"foreign_python": foreign} if (foreign := foreign_python.describe_foreign(os.environ)) else {}),
    }


def table_path(benchmark: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the benchmark's TSV."""
    return Path(environ.get("LMUData", LMUDATA)) / f"{benchmark}.tsv"


def table_md5(path: Path) -> str | None:
    """Return the md5 of a benchmark's TSV.

    It is VLMEvalKit's own checksum; None where the TSV is absent.
    """
    return hashing.md5_file(path) if path.is_file() else None


def weights_revision(model: str) -> str | None:
    """Return the commit of the model's cached weights.

    None where they are not cached.
    """
    declared = find_model(model)
    if declared is None:
        return None
    return snapshot(declared.repo).revision
