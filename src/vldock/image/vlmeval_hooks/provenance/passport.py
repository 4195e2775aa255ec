"""Passport of a cell, written after its evaluation: everything behind its score.

It holds no secret and no name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common.build_digest import read_build_digest
from vldock.common.filesystem.atomic import write_json
from vldock.common.image_paths import BUILD_FACTS
from vldock.common.inference_options import STOCK
from vldock.common.passport import IMAGE_VARIABLE, SCHEMA, SUFFIX
from vldock.common.tables import editions
from vldock.image.answering.types import COMPUTED, HELD, READ
from vldock.image.remote_code import admission
from vldock.image.vlmeval_hooks.files import table_check, text_changes, tsv
from vldock.image.vlmeval_hooks.files.output_folder import is_standin
from vldock.image.vlmeval_hooks.process import redact
from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes, special_tokens, specs
from vldock.image.weights import model_files

PER_SAMPLE = "per sample"  # from the benchmark and the sample's content
EXACT = ("exact_matching", "", None)
_began: list[datetime] = []  # of the cell that is evaluated


def path_of(folder: str | Path, model: str, benchmark: str) -> Path:
    """Return the path of a cell's passport."""
    return Path(folder) / f"{model}_{benchmark}{SUFFIX}"


def begin() -> None:
    """Record the start of a cell.

    A process may evaluate many, and one of a session is a fork of an older one.
    """
    _began[:] = [datetime.now(UTC)]


def write(folder: str, model: str, dataset: Any, *, args: Any, judge: str | None, factory: Any) -> Path:
    """Write the passport of the cell just evaluated and return its path."""
    prompts.flush()
    benchmark = str(dataset.dataset_name)
    notes = prompts.read(prompts.path_of(folder, model, benchmark))
    repo, others = specs.repo_of(factory), specs.other_repositories(factory)
    special_tokens.print_counts(f"{model} x {benchmark}", notes)
    passport = {
        "schema": SCHEMA,
        "model": model,
        "benchmark": benchmark,
        "standin": is_standin(),
        "image": image_facts(),
        "code": {**code_facts(), **remote_code_facts(factory)},
        "weights": model_files.facts(repo),
        "vision_tower": model_files.facts(model_files.tower_of(repo)),
        **({"other_repositories": {other: model_files.facts(other) for other in others}} if others else {}),
        "data": data_facts(dataset, args.limit),
        "findings": table_check.count_findings(dataset),
        "prompts": prompt_facts(notes),
        "generation": generation_facts(notes),
        "features": feature_facts(notes),
        "judge": {"name": judge or None, "mode": "exact matching" if judge in EXACT else "model"},
        "hardware": hardware_facts(notes),
        "outcome": {"predictions_sha256": _predictions(folder, model, benchmark)},
        "run": {
            "command": redact.argv(sys.argv),
            "started": (_began[-1] if _began else datetime.now(UTC)).isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    return write_json(path_of(folder, model, benchmark), passport)


@functools.cache
def image_facts() -> dict[str, Any]:
    """Return the image's id and the facts its build recorded.

    The id is Docker's if the host passed it, else the build's digest.
    """
    path = Path(BUILD_FACTS)
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    names = ("version", "base", "lock_sha256", "patches_sha256", "vldock_sha256")
    docker, build = os.environ.get(IMAGE_VARIABLE) or None, read_build_digest()
    return {
        "id": docker or build,
        "id_source": "docker" if docker else "build" if build else None,
        "build_digest": build,
        **{name: facts.get(name) for name in names},
    }


def code_facts() -> dict[str, Any]:
    """Return versions and digests of the code behind a score."""
    names = {"llava_version": "llava-torch", "vlmeval_version": "ms-vlmeval", "tokenizers": "tokenizers"}
    versions = {name: importlib.metadata.version(package) for name, package in names.items()}
    return {**specs.code_spec(), **versions, "python": platform.python_version()}


def remote_code_facts(factory: Any) -> dict[str, Any]:
    """Return the remote code of a model's repositories: verdict, {file: sha256}; {} without any."""
    found = admission.describe_repositories(specs.repositories(factory))
    return {"remote_code": found} if found else {}


def data_facts(dataset: Any, limit: int | None) -> dict[str, Any]:
    """Return the benchmark's file, edition, rows and limit.

    The file is given by md5 and sha256.
    """
    facts = {**specs.data_spec(dataset), **text_changes.passport_facts(dataset)}
    facts["edition"] = editions.name_of(str(dataset.dataset_name), facts["md5"], tsv.declared_editions())
    return {**facts, "rows": len(dataset.data), "limit": limit}


def prompt_facts(notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the template, a hash of every prompt, and the cut ones.

    The hash covers message, tokens, length in tokens, and the shapes of the images sent where they are noted.
    """
    samples = {index: _sent(note) for index, note in notes.items()}
    return {
        "template": prompts.template(),
        "sha256": hashlib.sha256(json.dumps(samples, sort_keys=True).encode()).hexdigest(),
        "token_limit": _distinct([note.get("limit") for note in notes.values()]),
        "cut": sorted(index for index, note in notes.items() if note.get("cut")),
        "samples": samples,
    }


def _sent(note: dict[str, Any]) -> list[Any]:
    pixels = [sample_notes.short_hash(note["pixels"])] if "pixels" in note else []
    return [note.get("message"), note.get("tokens"), note.get("length"), *pixels]


def generation_facts(notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return decoding arguments, engine and batch size; a list where samples differ.

    `actual` is the most rows that any sample was decoded with; `special_tokens` is there where answers begin with one.
    """
    seen = [note["generation"] for note in notes.values() if "generation" in note]
    engines = [str(note.get("engine", STOCK)).partition("/") for note in notes.values()]
    return {
        "arguments": _distinct(seen),
        "seed": PER_SAMPLE if any("seed" in note for note in notes.values()) else None,
        "engine": _distinct([name for name, _, _ in engines]),
        "batch_size": {
            "asked": _distinct([int(size) if size.isdigit() else size or 1 for _, _, size in engines]),
            "actual": max((int(note.get("batch", 1)) for note in notes.values()), default=None),
        },
        **({"special_tokens": found} if (found := special_tokens.count(notes)) else {}),
    }


def feature_facts(notes: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the feature-cache space and its look-up counts.

    None without the cache.
    """
    seen = [note["features"] for note in notes.values() if "features" in note]
    if not seen:
        return None
    counts = {word: sum(one.get(word, 0) for one in seen) for word in (READ, COMPUTED, HELD)}
    return {"space": _distinct([one["space"] for one in seen]), "samples": len(seen), **counts}


def hardware_facts(notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return device, dtype and attention of the model, driver and CUDA.

    A list where several models answered.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "model": _distinct([note["hardware"] for note in notes.values() if "hardware" in note]),
        "driver": _driver() if on_gpu else None,
        "cuda": torch.version.cuda if on_gpu else None,
        "processor": platform.machine(),
    }


def _distinct(values: list[Any]) -> Any:
    """Return the common value, else the differing values.

    None if there is no value.
    """
    distinct = {json.dumps(value, sort_keys=True): value for value in values}
    return next(iter(distinct.values()), None) if len(distinct) < 2 else [distinct[key] for key in sorted(distinct)]


def _driver() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.split("  ")[1].strip() for line in lines if line.startswith("NVRM")), None)


def _predictions(folder: str, model: str, benchmark: str) -> str | None:
    from vlmeval.smp.file import _prediction_table, get_pred_file_path

    return specs.predictions_digest(_prediction_table(get_pred_file_path(folder, model, benchmark)))
