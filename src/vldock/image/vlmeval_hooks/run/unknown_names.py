"""Names on the command line that do not exist, told before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from vldock.image.startup.data_root import lmu_data_root


def close_matches(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return up to `most` known names that resemble `name`, whatever their case."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    return [by_fold[found] for found in difflib.get_close_matches(name.casefold(), by_fold, n=most, cutoff=0.6)]


def describe_unknown(kind: str, asked: Iterable[str], known: Collection[str], *, listing: str) -> list[str]:
    """Return one line for each asked name that is not known, with close matches or how to list them all."""
    lines = []
    for name in asked:
        if name not in known:
            close = close_matches(name, known)
            hint = f"did you mean {' or '.join(close)}?" if close else f"list them with: {listing}"
            lines.append(f"unknown {kind} {name!r}: {hint}")
    return lines


def unknown_models(asked: Iterable[str]) -> list[str]:
    """Return one line for each model VLMEvalKit does not know."""
    from vlmeval.config import supported_VLM

    return describe_unknown("model", asked, supported_VLM, listing="vlmutil mlist all")


def find_hub_models(asked: Iterable[str]) -> list[str]:
    """Return the known models whose weights come from the Hub: no API's, none in a folder of the user's."""
    from vlmeval.config import supported_VLM

    from vldock.image.vlmeval_hooks.provenance import specs

    known = {name: supported_VLM[name] for name in asked if name in supported_VLM}
    return [
        name
        for name, factory in known.items()
        if not (specs.is_api(factory) or Path(specs.repo_of(factory) or "/nonexistent").is_dir())
    ]


def unknown_benchmarks(asked: Iterable[str]) -> list[str]:
    """Return one line for each benchmark VLMEvalKit does not know and that is no TSV of the user's in $LMUData."""
    from vlmeval.dataset import SUPPORTED_DATASETS
    from vlmeval.dataset.video_dataset_config import supported_video_datasets

    root = lmu_data_root()
    strangers = [name for name in asked if not (root / f"{name}.tsv").is_file()]
    known = {*SUPPORTED_DATASETS, *supported_video_datasets}
    return describe_unknown("benchmark", strangers, known, listing="vlmutil dlist all")
