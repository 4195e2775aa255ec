"""Time saved by lazy imports, measured in the image: `make bench-imports`.

Each pair, everything imported at once (VLDOCK_EAGER_IMPORTS=1) and deferred imports, runs one right after the other in
one container, so that what else the machine does meets both. CPU seconds, not wall: they hold on a busy machine.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vldock.common.errors import EnvironmentUnfit
from vldock.host.cli.main import invoke
from vldock.host.containers import lifecycle
from vldock.host.containers.spec import Spec
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.util import checkout

HERE = Path(__file__).parent
ENV = {"VLDOCK_STANDIN": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run_probe(client: Any, image: str, rounds: int) -> list[dict[str, Any]]:
    """Run the probe in a container; return its records.

    The container is of `image`; there is one record per process.
    """
    probe = (HERE / "probe.py").read_text(encoding="utf-8")
    spec = Spec(image=image, argv=("python", "-c", probe, str(rounds)), role="bench", env=ENV, network="none")
    done = lifecycle.run_to_end(client, spec)
    if done.exit_code:
        raise EnvironmentUnfit(f"the probe ended with {done.exit_code}: {done.text[-2000:]}", hint="vldock doctor")
    return read(done.stdout)


def read(text: str) -> list[dict[str, Any]]:
    """Return the records of the probe's output."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def row(subject: str, records: Sequence[dict[str, Any]]) -> str:
    """Return one subject's row of the table.

    It has medians, and the ratio of each pair.
    """
    once, later = (
        {one["round"]: one for one in records if one["subject"] == subject and one["at_once"] is way}
        for way in (True, False)
    )
    ratios = sorted(later[number]["cpu"] / once[number]["cpu"] for number in once)

    def median(which: dict[int, dict[str, Any]], name: str) -> float:
        return statistics.median(one[name] for one in which.values())

    seconds = f"{median(once, 'cpu'):.2f} | {median(later, 'cpu'):.2f}"
    ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"| `{subject}` | {seconds} | {ratio} | {median(once, 'mib'):.0f} | {median(later, 'mib'):.0f} |"


def table(image: str, records: Sequence[dict[str, Any]]) -> str:
    """Return the committed Markdown."""
    subjects = list(dict.fromkeys(one["subject"] for one in records))
    rounds = len({one["round"] for one in records})
    lines = [
        "# Imports put off",
        "",
        "Made by `make bench-imports`: stand-ins, CPU, one thread, ten samples. Each process starts afresh. `at once`",
        "is VLDOCK_EAGER_IMPORTS=1, right before or after. CPU seconds are user and system. Medians of",
        f"{rounds} rounds; the ratio is that of each pair, its median and its range.",
        "",
        f"Image {image[:19]}.",
        "",
        "| command | CPU s, at once | CPU s, put off | ratio | MiB, at once | MiB, put off |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(row(subject, records) for subject in subjects),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("image", default=checkout.IMAGE_TAG)
@click.option("--rounds", type=click.IntRange(1), default=5, help="Pairs of each command.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "RESULTS.md", help="Where the table goes.")
def main(image: str, rounds: int, out: Path) -> int:
    """Measure IMAGE and write the table."""
    with docker_client.open_client() as client:
        found = str(local_images.find(client, image).id)
        text = table(found, run_probe(client, found, rounds))
    out.write_text(text, encoding="utf-8")
    click.echo(text)
    return 0


if __name__ == "__main__":
    sys.exit(invoke(main))
