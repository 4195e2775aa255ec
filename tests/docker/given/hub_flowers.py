"""Drawn flowers and a tiny LLaVA-NeXT in the cache, under the names of the Hub that the document trains with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import datasets

from vldock.image.training.data import oxford_flowers
from vldock.image.training.demo import flowers as demo

HUB = Path(os.environ["HUGGINGFACE_HUB_CACHE"])
COMMIT = "0" * 40


def snapshot(kind: str, repo: str) -> Path:
    """Make the folder of a repository's snapshot, with main naming it."""
    folder = HUB / f"{kind}--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


def main() -> None:
    """Write nelorth/oxford-flowers as parquet, and liuhaotian/llava-v1.6-vicuna-7b."""
    work = Path("/tmp/given")
    demo.write_flowers(work / "flowers", training=4, heldout=1)
    found = oxford_flowers.from_archive(work / "flowers")
    names = sorted({flower.name for split in found.splits.values() for flower in split})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    folder = snapshot("datasets", "nelorth/oxford-flowers") / "data"
    folder.mkdir(parents=True)
    for split, flowers in found.splits.items():
        rows = {
            "image": [{"bytes": flower.picture.read(), "path": None} for flower in flowers],
            "label": [flower.name for flower in flowers],
        }
        made = datasets.Dataset.from_dict(rows, features=features)
        made.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    demo.write_base(work / "base", Path("/workspace/models/tower"), width=32, layers=2)
    shutil.copytree(work / "base", snapshot("models", "liuhaotian/llava-v1.6-vicuna-7b"))


if __name__ == "__main__":
    main()
