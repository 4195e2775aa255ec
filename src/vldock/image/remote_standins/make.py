"""Make the stand-ins with remote code: `python -m vldock.image.remote_standins.make --out DIR`.

    untrained   snapshots with random weights and an empty memory, into a hub cache
    prompts     every sample through VLMEvalKit's data sets and the model's own wrapper
    memory      fitted to them in closed form (fit.py), written in bfloat16

DIR is a folder of stand-ins (huggingface/, LMUData/, manifest.json); the other models' files in it stay.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from vldock.image.remote_standins.base import RemoteStandin, round_weights
from vldock.image.standin.make import Say, prepare_environment, teller
from vldock.image.standin.manifest import MANIFEST, list_files, load_manifest

FAMILIES = ("internvl2", "minicpmv26", "cogvlm")
DERIVED = "sharegpt4v_7b"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(
        prog="python -m vldock.image.remote_standins.make", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of stand-ins to add to")
    parser.add_argument("--only", default="", help="stand-ins whose name has this text")
    return parser.parse_args(argv)


def find_standins(only: str) -> Iterator[tuple[ModuleType, RemoteStandin]]:
    """Yield each stand-in with the module of its family."""
    for name in FAMILIES:
        family = importlib.import_module(f"vldock.image.remote_standins.{name}")
        yield from ((family, standin) for standin in family.STANDINS if only in standin.name)


def install(family: ModuleType, standin: RemoteStandin, model: Any, cache: Path) -> None:
    """Write a stand-in's snapshot into the hub cache, in place of an earlier one."""
    from vldock.image.standin.recipe import hub

    with tempfile.TemporaryDirectory() as name:
        family.write_snapshot(standin, model, Path(name))
        hub.install(Path(name), standin.repository, cache)


def admit_code(standins: Iterable[RemoteStandin]) -> None:
    """Accept the remote code that is made here, and load it as an evaluation does."""
    from vldock.image.remote_code import admission, loading

    os.environ[admission.ACCEPT] = ",".join(standin.repository for standin in standins)
    loading.install()


def make_one(family: ModuleType, standin: RemoteStandin, out: Path, say: Say) -> dict[str, float]:
    """Build, record, fit and write one stand-in; return its marks."""
    from vlmeval.config import supported_VLM

    from vldock.image.remote_standins.fit import RADIUS, Lesson, fit_memory
    from vldock.image.remote_standins.record import ask_once, record

    model = family.build(standin)
    round_weights(model)
    if hasattr(family, "write_further"):
        family.write_further(out / "huggingface")
    install(family, standin, model, out / "huggingface")
    wrapper = supported_VLM[standin.name]()
    recorded = list(record(wrapper, family.decoder_in(wrapper.model), getattr(family, "vary_message", ask_once)))
    say(f"{standin.name}: {len(recorded)} prompts, at most {max(len(item.prompt) for item in recorded)} tokens")
    lessons = [Lesson(item.prompt, family.answer_ids(wrapper, item.answer)) for item in recorded]
    fit = fit_memory(family.decoder_in(model), lessons, getattr(family, "RADIUS", RADIUS))
    install(family, standin, model, out / "huggingface")
    say(f"{standin.name}: {fit.units} units; next states at {fit.nearest:.5f}, thresholds from {fit.tightest:.5f}")
    return {"units": fit.units, "nearest": round(fit.nearest, 6), "tightest": round(fit.tightest, 6)}


def derive_one(cache: Path, say: Say) -> None:
    """Write ShareGPT4V's stand-in, which llava-v1.5-7b's in the same cache becomes without fitting."""
    from vldock.image.remote_standins.sharegpt4v import write_sharegpt4v

    write_sharegpt4v(cache, cache)
    say(f"{DERIVED}: derived")


def write_manifest(out: Path, marks: dict[str, dict[str, float]]) -> None:
    """Write manifest.json anew: the files as they are now, the marks of what was made."""
    manifest = load_manifest(out)
    manifest = replace(manifest, files=list_files(out), marks={**manifest.marks, **marks})
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n"
    (out / MANIFEST).write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Make the stand-ins asked for."""
    args = parse(argv)
    say = teller(time.monotonic())
    marks = {}
    with tempfile.TemporaryDirectory() as name:
        prepare_environment(args.out, Path(name))
        import torch

        torch.set_num_threads(1)  # sums in another order would give other weights, and other revisions
        chosen = list(find_standins(args.only))
        admit_code(standin for _, standin in chosen)
        for family, standin in chosen:
            marks[standin.repository] = make_one(family, standin, args.out, say)
        if args.only in DERIVED:
            derive_one(args.out / "huggingface", say)
    write_manifest(args.out, marks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
