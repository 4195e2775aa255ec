"""Speed benchmark: `make bench`, `make bench-quick`; modes.py defines the modes.

The results are in RESULTS.md. Cell-by-cell modes take turns, cell after cell, each time another one first: other load
on the machine hits all of them. The others run completely, in the order given. Ratios are within one campaign.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
import machine
import table
from modes import CELL_MODES, MODES, WHOLE_MODES, Measured
from setting import PHASES, Setting

from vldock.common import cache_env
from vldock.common.errors import UsageError
from vldock.common.filesystem.atomic import write_json
from vldock.common.matrix import matrix_benchmarks, matrix_models
from vldock.host.cli.main import invoke
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.images import local as local_images
from vldock.host.util import checkout
from vldock.host.util.console import say
from vldock.host.util.signals import signals_interrupt

HERE = Path(__file__).parent
LABEL = "vldock.role=speed"


@contextmanager
def timed_image(client: Any, image: str, *, threads: int | None = None) -> Iterator[str]:
    """Yield `image` with one more variable, so that every process records its phases.

    `threads` bounds the threads of a process that compute, None leaves that to torch.
    """
    found = local_images.find(client, image)
    lines = [f"ENV VLDOCK_PHASES={cache_env.OUTPUTS}/{PHASES}", f"LABEL {LABEL}"]
    lines += [f"ENV OMP_NUM_THREADS={threads}"] if threads else []
    container = client.containers.create(found)
    try:
        made = container.commit(changes="\n".join(lines))  # a build would leave an image for each line
    finally:
        container.remove()
    try:
        yield str(made.id)
    finally:
        client.images.remove(str(made.id), force=True, noprune=True)


def cell_by_cell(setting: Setting, requested: list[str], measured: dict[str, Measured]) -> None:
    """Run the cell-by-cell modes side by side.

    All are ready before the first cell, and one evaluates at a time.
    """
    with ExitStack() as stack:
        asks = {mode: stack.enter_context(CELL_MODES[mode](setting, measured[mode])) for mode in requested}
        for number, (model, benchmark) in enumerate(setting.cells):
            turn = requested[number % len(requested) :] + requested[: number % len(requested)]
            for mode in turn:
                measured[mode].add(asks[mode](model, benchmark))
            line = "  ".join(f"{mode} {measured[mode].cells[-1]:.1f} s" for mode in requested)
            say(f"{number + 1}/{len(setting.cells)} {model} x {benchmark}: {line}")


def campaign(setting: Setting, requested: list[str]) -> dict[str, Measured]:
    """Run the requested modes and return their measurements, in the order of MODES."""
    measured = {mode: Measured(mode) for mode in MODES if mode in requested}
    if by_cell := [mode for mode in measured if mode in CELL_MODES]:
        cell_by_cell(setting, by_cell, measured)
    for mode in (mode for mode in measured if mode in WHOLE_MODES):
        say(f"{mode} ...")
        WHOLE_MODES[mode](setting, measured[mode])
        say(f"{mode}: {measured[mode].seconds:.1f} s")
    return measured


def _chosen(text: str, known: tuple[str, ...], what: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in known]:
        raise UsageError(f"unknown {what}: {unknown[0]}", expected=", ".join(known))
    return [name for name in known if name in words]


@click.command()
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--modes", default=",".join(MODES), show_default=True)
@click.option("--models", default=",".join(model.name for model in matrix_models()), show_default=True)
@click.option("--benchmarks", help="Comma list; default: all 20.")
@click.option("--cells", type=int, help="Only the first N benchmarks (times the models).")
@click.option("--samples", type=int, default=10, show_default=True)
@click.option("--threads", type=int, help="Threads that compute; on a busy machine 1, and look at processor seconds.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE, help="Folder of RESULTS.md and results.json.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep what the evaluations wrote in this folder.")
def main(
    *,
    image: str,
    modes: str,
    models: str,
    benchmarks: str | None,
    cells: int | None,
    samples: int,
    threads: int | None,
    out: Path,
    keep: Path | None,
) -> int:
    """Measure every mode on the stand-ins and write the table."""
    known = tuple(benchmark.name for benchmark in matrix_benchmarks())
    chosen = _chosen(benchmarks, known, "benchmark") if benchmarks else list(known)
    requested = _chosen(modes, MODES, "mode")
    folder = keep or Path(tempfile.mkdtemp(prefix="vldock-speed-"))
    begun = datetime.now(UTC)
    try:
        with (
            docker_client.open_client() as client,
            timed_image(client, image, threads=threads) as timed,
            signals_interrupt(),
        ):
            setting = Setting(
                image=timed,
                docker=docker_cli.require_builder().path,
                models=tuple(_chosen(models, tuple(model.name for model in matrix_models()), "model")),
                benchmarks=tuple(chosen[:cells]),
                samples=samples,
                folder=folder.resolve(),
                env={"VLDOCK_STANDIN": "1"},
            )
            before = os.getloadavg()
            measured = campaign(setting, requested)
            facts = machine.facts(client, timed, load=(before, os.getloadavg()))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    facts |= {"begun": begun.isoformat(timespec="seconds"), "minutes": (datetime.now(UTC) - begun).seconds / 60}
    facts |= {"models": list(setting.models), "benchmarks": list(setting.benchmarks)}
    _write(out, facts | {"samples": samples, "threads": threads}, measured.values())
    click.echo(table.text(out))
    return 0


def _write(out: Path, facts: dict[str, Any], measured: Iterable[Measured]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    results = table.Results(facts=facts, modes=[asdict(one) | {"seconds": one.seconds} for one in measured])
    write_json(out / "results.json", asdict(results))
    table.write(out)


if __name__ == "__main__":
    sys.exit(invoke(main))
