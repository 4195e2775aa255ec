"""Merge a run's checkpoint into its base, for run.py and predict.py.

python -m vldock.image train export checkpoints/flowers --out models/llava-flowers
python /workspace/VLMEvalKit/run.py --model llava-flowers=/workspace/models/llava-flowers --data ...
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from vldock.image.startup import prepare as startup


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train export`."""
    parser.add_argument("run", type=Path, help="a run's folder (its best checkpoint), or one checkpoint-N of it")
    parser.add_argument("--out", type=Path, help="a new folder; default: RUN/export/llava-NAME")
    parser.add_argument("--dtype", choices=("fp16", "bf16", "fp32"), default="fp16")


def main(args: argparse.Namespace) -> int:
    """Export, load the result once, and print its folder."""
    startup.prepare()
    from vldock.image.training import dataset
    from vldock.image.training.model import export

    run = dataset.resolve(str(args.run), os.environ, "checkpoints")
    folder, _ = export.find_checkpoint(run)
    out = args.out or folder / "export" / f"llava-{folder.name}"
    made = export.export(run, out, dtype=args.dtype)
    if "llava" not in made.name.lower():
        print(f"note: LLaVA elsewhere takes {made.name} for no LLaVA: its name lacks the word", file=sys.stderr)
    print(made)
    return 0
