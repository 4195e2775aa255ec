"""Apply the patches of LLaVA and VLMEvalKit, or check them.

They are applied in order; with --check they are only reported on.

    python patches/apply_all.py --llava /workspace/LLaVA --vlmeval /workspace/VLMEvalKit [--check] [--json]

Exit codes are those of patchlib: 0 done, 1 not applied (--check), 4 a file is not what was declared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import patchcli
import registry
from originals import LLAVA, VLMEVAL


def main(argv: Sequence[str] | None = None) -> int:
    """Run the driver and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--llava", type=Path, default=Path(LLAVA.root), help="folder that holds llava/")
    parser.add_argument("--vlmeval", type=Path, default=Path(VLMEVAL.root), help="folder that holds vlmeval/")
    patchcli.add_options(parser)
    arguments = parser.parse_args(argv)
    roots = {LLAVA.dist: arguments.llava, VLMEVAL.dist: arguments.vlmeval}
    targets = [(patch, roots[patch.package.dist]) for patch in registry.ALL]
    return patchcli.run(targets, patchcli.options_of(arguments))


if __name__ == "__main__":
    sys.exit(main())
