"""Versions of vldock, the build and the main packages.

`python -m vldock.image version` prints them.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vldock import __version__
from vldock.common.image_paths import BUILD_FACTS

SHOWN = ("torch", "transformers", "llava-torch", "ms-vlmeval")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object")


def main(args: argparse.Namespace) -> int:
    """Print the versions of vldock and the main packages.

    With the build's facts.
    """
    facts: dict[str, Any] = {"vldock": __version__}
    if Path(BUILD_FACTS).is_file():
        facts |= json.loads(Path(BUILD_FACTS).read_text(encoding="utf-8"))
    facts["python"] = sys.version.split()[0]
    facts |= {name: installed_version(name) for name in SHOWN}
    if args.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:<14} {value}")
    return 0


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
