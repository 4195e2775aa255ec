"""Unknown models and benchmarks on the command line.

They are reported before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from vldock.common.names import spellings
from vldock.image.startup.data_root import lmu_data_root


def describe_unknown(
    kind: str, names: Iterable[str], known: Collection[str], *, listing: str, declared: Iterable[str] = ()
) -> list[str]:
    """Return one line per unknown name.

    Each has close matches, the declared ones first, or how to list all.
    """
    lines = []
    for name in names:
        if name not in known:
            close = spellings.suggest(name, known, declared=declared)
            hint = f"did you mean {' or '.join(close)}?" if close else f"list them with: {listing}"
            lines.append(f"unknown {kind} {name!r}: {hint}")
    return lines


def unknown_models(names: Iterable[str]) -> list[str]:
    """Return one line for each model VLMEvalKit does not know."""
    from vlmeval.config import supported_VLM

    return describe_unknown("model", names, supported_VLM, listing="vlmutil mlist all", declared=spellings.MODELS)


def find_hub_models(names: Iterable[str]) -> list[str]:
    """Return the known models with weights from the Hub.

    No API's, and none in a local folder.
    """
    from vlmeval.config import supported_VLM

    from vldock.image.vlmeval_hooks.provenance import specs

    known = {name: supported_VLM[name] for name in names if name in supported_VLM}
    return [
        name
        for name, factory in known.items()
        if not (specs.is_api(factory) or Path(specs.repo_of(factory) or "/nonexistent").is_dir())
    ]


def unknown_benchmarks(names: Iterable[str]) -> list[str]:
    """Return one line for each unknown benchmark.

    Unknown to VLMEvalKit, and without a TSV in $LMUData.
    """
    from vlmeval.dataset import SUPPORTED_DATASETS
    from vlmeval.dataset.video_dataset_config import supported_video_datasets

    root = lmu_data_root()
    strangers = [name for name in names if not (root / f"{name}.tsv").is_file()]
    known = {*SUPPORTED_DATASETS, *supported_video_datasets}
    listing = "vlmutil dlist all"
    return describe_unknown("benchmark", strangers, known, listing=listing, declared=spellings.BENCHMARKS)
