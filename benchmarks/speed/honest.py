"""VLMEvalKit's loop against the batched engine at real widths: `make bench-honest`.

On a model with LLaVA-1.5-7B's widths.

The model is made once (make_honest.py) and kept; both engines answer the same three benchmarks in turn, each in a
container of its own, and `vldock equal` says whether every answer is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
import lines
import machine
import table
from campaign import HERE, timed_image
from setting import Place, Setting, run_py

from vldock.common import cache_env
from vldock.common.errors import EvaluationFailed
from vldock.common.filesystem.atomic import write_json
from vldock.host.cli.main import invoke
from vldock.host.containers.spec import Mount
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.reports import equality
from vldock.host.util import checkout
from vldock.host.util.console import say
from vldock.host.util.signals import signals_interrupt

MODEL = "llava_v1.5_7b"
BENCHMARKS = ("POPE", "DocVQA_VAL", "TextVQA_VAL")
ANSWERING = ("preprocess", "vision", "prefill", "decode", "loop")
MADE, BENCHMARKS_INSIDE = "made.json", "/opt/benchmarks"


@dataclass(frozen=True)
class Size:
    """Size of the model and of the benchmarks."""

    width: int
    layers: int
    tower_layers: int
    pope: int
    docvqa_val: int
    textvqa_val: int

    @property
    def name(self) -> str:
        """Name of the folder."""
        return f"{self.width}-{self.layers}-{self.tower_layers}-{self.pope}-{self.docvqa_val}-{self.textvqa_val}"

    def text(self) -> str:
        """Describe the size."""
        return (
            f"Width {self.width} (LLaVA-1.5-7B's: 4096, with intermediate 11008, 32 heads, vocabulary 32000; CLIP-L/14 "
            f"of 336 pixels), {self.layers} of 32 decoder layers, {self.tower_layers} of 24 of the tower, random, "
            f"float32. Images: POPE {self.pope} with 18 questions each, DocVQA_VAL {self.docvqa_val} with four, "
            f"TextVQA_VAL {self.textvqa_val} with one. Answers of 1 to 32 tokens."
        )


def make_inputs(setting: Setting, size: Size, store: Path) -> Path:
    """Return the folder of model and benchmarks, made if missing."""
    folder = store / size.name
    if not (folder / MADE).is_file():
        say(f"making the model below {folder} (minutes)")
        folder.mkdir(parents=True, exist_ok=True)
        words = [f"--{name.replace('_', '-')}={value}" for name, value in vars(size).items()]
        spec = Place(setting, "making", folder).spec(
            ["python", f"{BENCHMARKS_INSIDE}/speed/make_honest.py", "--out", cache_env.OUTPUTS, *words]
        )
        spec = replace(spec, mounts=(*spec.mounts, Mount(HERE.parent, BENCHMARKS_INSIDE, read_only=True)))
        done = subprocess.run(spec.docker_argv(setting.docker), capture_output=True, text=True, check=False)
        if done.returncode:
            raise EvaluationFailed(f"the model could not be made\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        (folder / MADE).write_text(done.stdout.strip().splitlines()[-1] + "\n", encoding="utf-8")
    return folder


def use_inputs(setting: Setting, folder: Path) -> Setting:
    """Return the setting with the made model and benchmarks.

    The model is its cache, the benchmarks are its data.
    """
    accepted = json.loads((folder / MADE).read_text(encoding="utf-8"))["accepted"]
    return replace(
        setting,
        env={
            **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"), "1"),
            "VLDOCK_ACCEPT_MD5": ",".join(f"{name}={md5}" for name, md5 in accepted.items()),
        },
        mounts=(
            Mount(folder / "huggingface", cache_env.HUGGINGFACE, read_only=True),
            Mount(folder / "LMUData", cache_env.LMUDATA),
        ),
    )


def measure_engine(setting: Setting, benchmark: str, engine_name: str, batch: str) -> dict[str, Any]:
    """Answer one benchmark with one engine.

    Returns samples, seconds, phases, and the results' folder.
    """
    more = ("--engine", engine_name, *(("--batch-size", batch) if engine_name == "batched" else ()))
    place = setting.place(f"{engine_name}-{benchmark}")
    timed = place.command(place.spec(run_py([MODEL], [benchmark], *more)).docker_argv(setting.docker))
    phases = lines.sum_phases(timed.lines)
    found = {
        "benchmark": benchmark,
        "engine": engine_name,
        "samples": sum(line.answers for line in timed.lines),
        "seconds": round(timed.seconds, 3),
        "answering": sum(phases.get(name, 0.0) for name in ANSWERING),
        "phases": phases,
        "phases_cpu": lines.sum_phases(timed.lines, cpu=True),
        "counts": lines.count_phases(timed.lines),
        "memory_peak": lines.peak(timed.lines),
        "predictions": str(place.folder / MODEL),
    }
    say(f"{benchmark}, {engine_name}: {found['samples']} samples in {found['answering']:.1f} s")
    return found


def compare_answers(runs: list[dict[str, Any]]) -> str:
    """Return a sentence on the equality of both engines' answers.

    They are compared token by token.
    """
    wrong = total = tokens = 0
    for stock in (one for one in runs if one["engine"] == "stock"):
        ours = next(one for one in runs if one["engine"] == "batched" and one["benchmark"] == stock["benchmark"])
        ours["ratio"] = stock["answering"] / ours["answering"]
        for cell in equality.compare_predictions(Path(stock["predictions"]), Path(ours["predictions"])).cells:
            wrong, total, tokens = wrong + cell.answers, total + cell.samples, tokens + cell.differing_tokens
    return f"{wrong} of {total} answers and {tokens} tokens differ."


@click.command()
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--width", default=4096, show_default=True, help="Less only to try the recipe.")
@click.option("--layers", default=4, show_default=True, help="Decoder layers, of 32.")
@click.option("--tower-layers", default=3, show_default=True, help="Layers of the vision tower, of 24.")
@click.option("--pope", default=1, show_default=True, help="Images of 18 questions.")
@click.option("--docvqa-val", default=4, show_default=True, help="Images of four questions.")
@click.option("--textvqa-val", default=10, show_default=True, help="Images of one question.")
@click.option("--samples", type=int, help="Only the first N samples of each.")
@click.option("--batch-size", default="auto", show_default=True)
@click.option("--store", type=click.Path(path_type=Path), default=Path(".vldock/honest"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=HERE)
def main(image: str, samples: int | None, batch_size: str, store: Path, out: Path, **size: int) -> int:
    """Measure both engines and write honest.json and RESULTS.md."""
    chosen, begun, before = Size(**size), datetime.now(UTC), os.getloadavg()
    with docker_client.open_client() as client, timed_image(client, image) as timed, signals_interrupt():
        setting = Setting(
            timed, docker_cli.require_builder().path, (MODEL,), BENCHMARKS, samples, (store / "runs").resolve()
        )
        folder = make_inputs(setting, chosen, store.resolve())
        setting = use_inputs(setting, folder)
        begun = datetime.now(UTC)
        runs = [
            measure_engine(setting, benchmark, name, batch_size)
            for benchmark in BENCHMARKS
            for name in ("stock", "batched")
        ]
        facts = machine.facts(client, timed, load=(before, os.getloadavg()), begun=begun.isoformat(timespec="seconds"))
    facts["minutes"] = (datetime.now(UTC) - begun).seconds / 60
    verdict = compare_answers(runs)
    for one in runs:
        del one["predictions"]
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "honest.json", {"model": chosen.text(), "facts": facts, "runs": runs, "equal": verdict})
    if (out / "results.json").is_file():
        table.write(out)
    click.echo("\n".join(table.honest(json.loads((out / "honest.json").read_text(encoding="utf-8")))))
    return 0


if __name__ == "__main__":
    sys.exit(invoke(main))
