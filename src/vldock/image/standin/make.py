"""Make the stand-ins: `python -m vldock.image.standin.make --out DIR [--seed 0]`.

    tables      ten samples of each benchmark, as TSVs
    tower       the CLIP tower, into a hub cache of its own
    tokenizer   and the two untrained models, into the same cache
    prompts     every sample through VLMEvalKit's data sets and its LLaVA wrapper
    album       the tower's features of every picture, right and spoilt
    training    both models at once, one thread each
    manifest    digests of all of it

Everything follows from --seed; on another processor the weights may differ in their last bits.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock.image.standin.activate import CACHES, SWITCHES
from vldock.image.standin.manifest import MANIFEST, Manifest, list_files, md5_of, recipe_digest

PACKAGES = ("torch", "torchvision", "transformers", "tokenizers", "sentencepiece", "numpy", "pillow", "llava-torch",
            "ms-vlmeval", "scikit-image", "scikit-learn")  # fmt: skip
Say = Callable[[str], None]


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(prog="python -m vldock.image.standin.make", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for huggingface/, LMUData/ and manifest.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="shorten the training, to try the recipe only")
    return parser.parse_args(argv)


def teller(start: float) -> Say:
    """Return a printer of progress lines with the seconds since `start`."""
    return lambda text: print(f"[{time.monotonic() - start:6.1f} s] {text}", flush=True)


def prepare_environment(out: Path, scratch: Path) -> None:
    """Point this process, before its heavy imports, at the cache being made and at its own links to the tables.

    Its own, because VLMEvalKit writes images beside them, and another process could read one half written.
    """
    for path in (out / "LMUData").glob("*.tsv"):
        (scratch / path.name).symlink_to(path.resolve())
    os.environ.update(dict.fromkeys(CACHES, str(out / "huggingface")))
    os.environ.update(dict.fromkeys(SWITCHES, "1"))
    os.environ["LMUData"] = str(scratch)  # noqa: SIM112 - VLMEvalKit spells it so
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["VLDOCK_DEVICE"] = "cpu"


def make_tables(out: Path, say: Say) -> None:
    """Write the TSVs."""
    from vldock.image.standin.samples.benchmarks import TABLES
    from vldock.image.standin.samples.tsv import write_table

    folder = out / "LMUData"
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        write_table(name, folder)
    say(f"tables: {len(TABLES)} benchmarks, {sum(p.stat().st_size for p in folder.iterdir()) / 1e6:.1f} MB")


def make_untrained(out: Path, seed: int, say: Say) -> None:
    """Put the tower and both untrained models with their tokenizer into the cache."""
    from transformers import LlamaTokenizer

    from vldock.image.standin.recipe import hub, llava_model, tokenizer, tower

    model = tokenizer.train_tokenizer()
    with tempfile.TemporaryDirectory() as name:
        tower.write_tower(tower.build_tower(seed), Path(name))
        hub.install(Path(name), tower.REPOSITORY, out / "huggingface")
    for standin in llava_model.STANDINS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer.write_tokenizer(folder, model)
            size = len(LlamaTokenizer.from_pretrained(folder))
            llava_model.write_llava(llava_model.build_llava(standin, size, seed), folder)
            hub.install(folder, standin.repository, out / "huggingface")
    say(f"tower, tokenizer ({size} pieces) and untrained models")


@dataclass(frozen=True, slots=True)
class Job:
    """One stand-in to train, in a process of its own."""

    number: int
    out: Path
    seed: int
    epochs: int | None
    start: float


def train_one(job: Job) -> dict[str, Any]:
    """Train one stand-in in this process, write it into the cache, and return how it went."""
    with tempfile.TemporaryDirectory() as name:
        prepare_environment(job.out, Path(name))
        import torch

        torch.set_num_threads(1)
        from vldock.image.standin.recipe.lesson import teach

        return teach(job.number, job.out, job.seed, job.epochs, teller(job.start))


def write_manifest(out: Path, seed: int, marks: dict[str, Any]) -> None:
    """Write manifest.json over what lies in `out`."""
    tables: dict[str, dict[str, str | int]] = {
        path.stem: {"md5": md5_of(path), "rows": path.read_text(encoding="utf-8").count("\n") - 1}
        for path in sorted((out / "LMUData").glob("*.tsv"))
    }
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    manifest = Manifest(seed, recipe_digest(), packages, list_files(out), tables, marks)
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n"
    (out / MANIFEST).write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Make everything; exit status 1 when a model did not learn all its samples."""
    args = parse(argv)
    start = time.monotonic()
    say = teller(start)
    for name in ("huggingface", "LMUData"):
        shutil.rmtree(args.out / name, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        make_tables(args.out, say)
        prepare_environment(args.out, Path(name))
        make_untrained(args.out, args.seed, say)
    jobs = [Job(number, args.out, args.seed, args.epochs, start) for number in range(2)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = list(pool.imap_unordered(train_one, jobs))
    marks = {result.pop("model"): result for result in sorted(results, key=lambda result: str(result["model"]))}
    write_manifest(args.out, args.seed, marks)
    say(f"done: {args.out / MANIFEST}")
    return 0 if all(mark["right"] == 1.0 for mark in marks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
