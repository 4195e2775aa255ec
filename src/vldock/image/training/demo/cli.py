"""Demonstration of training: makes its input, or checks its accuracy (--require).

`python -m vldock.image.training.demo.cli FOLDER [--require ACCURACY]`
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

from vldock.common.errors import EvaluationFailed, VldockError
from vldock.image.startup import prepare as startup
from vldock.image.training.data import benchmark_tsv

SETTINGS = """\
# a tiny LLaVA-NeXT from scratch: everything but the tower trains, and the learning rate is that of a small model
out: checkpoints/flowers
data: {source: archive, path: flowers, questions: [choice], choices: 6}
model: {base: base, method: full}
train: {max_steps: 100, batch_size: 8, accumulation: 1, learning_rate: 2.0e-3, clip: 1.0, save_every: 25,
        heldout_samples: 24, answer_tokens: 4, gradient_checkpointing: false, patience: 0}
"""
MODEL = "llava-flowers"


def make(folder: Path) -> None:
    """Write data/flowers, models/base, weights/tower and demo.yaml below `folder`."""
    from vldock.image.training.demo import flowers as demo_flowers

    demo_flowers.write_flowers(folder / "data" / "flowers", training=60, heldout=12)
    demo_flowers.write_base(folder / "models" / "base", folder / "weights" / "tower")
    (folder / "demo.yaml").write_text(SETTINGS, encoding="utf-8")
    for name in ("checkpoints", "outputs"):
        (folder / name).mkdir(exist_ok=True)


def require(folder: Path, accuracy: float) -> str:
    """Return the accuracies of training and run.py.

    Raises EvaluationFailed where either is below `accuracy`.
    """
    lines = (folder / "checkpoints" / "flowers" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    right = [json.loads(line)["right"] for line in lines]
    trained = sum(right) / len(right)
    table = next((folder / "outputs").rglob(f"{MODEL}_{benchmark_tsv.NAME}_acc.csv"), None)
    if table is None:
        raise EvaluationFailed("run.py left no score", expected=f"{MODEL}_{benchmark_tsv.NAME}_acc.csv")
    with table.open(encoding="utf-8", newline="") as stream:
        evaluated = float(next(csv.DictReader(stream))["Overall"])
    said = f"held-out accuracy {trained:.1%} of {len(right)} in training, {evaluated:.1%} by run.py"
    if min(trained, evaluated) < accuracy:
        raise EvaluationFailed(said, expected=f"at least {accuracy:.0%}")
    return said


def main(argv: list[str]) -> int:
    """Make the input or check the accuracy.

    The exit status is 1 where the accuracy is too low.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--require", type=float, metavar="ACCURACY")
    args = parser.parse_args(argv)
    startup.prepare()
    try:
        if args.require is None:
            make(args.folder)
        else:
            print(require(args.folder, args.require))
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
