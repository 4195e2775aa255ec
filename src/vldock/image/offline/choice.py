"""Choice of the data set to test: the only one of the cache, or the one training is configured for."""

from __future__ import annotations

import sys
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.image.offline.cached import arrow_name, list_names
from vldock.image.offline.errors import NotCached, fetch_hint
from vldock.image.offline.places import Places

COMMAND = "python test_hf_cache.py"


def choose(found: Places, *, configured: str, every: bool) -> list[str]:
    """Return the names to test, and print what was found.

    Raises NotCached where the cache holds none, UsageError where it holds several and training is configured for none
    of them.
    """
    names = list_names(*found.all)
    if not names:
        raise NotCached(
            "no data set is in the cache",
            expected=f"datasets--ORG--NAME in {found.hub}, or Arrow files in {found.arrow}",
            hint=fetch_hint(configured or "ORG/NAME"),
        )
    print(f"data sets in the cache: {', '.join(names)}")
    own = [name for name in names if configured and arrow_name(name) == arrow_name(configured)]
    if every or len(names) == 1:
        return list(names)
    if own:
        print(f"taken: {own[0]}, which training is configured for")
        return own
    raise UsageError(
        f"{len(names)} data sets are in the cache, and training is configured for none of them ({configured})",
        expected="one name, or --all",
        hint="\n      ".join(f"{COMMAND} {name}" for name in names),
    )


def read_training(file: str) -> tuple[str, str]:
    """Return what a training's YAML file reads: a data set's name, else the other source.

    One of the two is empty. `-` is standard input. Raises UsageError for a file that cannot be read.
    """
    import yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        data = dict((yaml.safe_load(text) or {}).get("data") or {})
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(
            f"--training {file}: {str(error).splitlines()[0]}",
            expected="a YAML file of a training",
            hint="python -m vldock.image train --print-config > FILE",
        ) from error
    if data.get("source", "hub") == "hub":
        return str(data.get("name") or ""), ""
    return "", f"data.source={data['source']} data.path={data.get('path', '')}"
