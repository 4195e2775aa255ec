"""Mutation test of the image: deliberate breakages and their detection.

The image is broken in many ways; the noticing test is reported. Run by `make bench-teeth`. Every breakage is a
separate image on top of the one under test. The test files run on the unbroken image first: they must pass there, or a
catch would mean nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from vldock.common.filesystem.atomic import write_json
from vldock.host.cli.main import invoke
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.receipts.statement import GroupResult
from vldock.host.util import checkout
from vldock.host.util.console import say
from vldock.host.verification import suite as verification_suite

sys.path.insert(0, str(Path(__file__).parent))
from breakages import BREAKAGES, Breakage

LABEL = "vldock.role=teeth"
HELD = "vldock-teeth:unbroken"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class BreakageResult:
    """Outcome of one breakage: failed tests and seconds.

    It records whether the expected test is among them.
    """

    name: str
    group: str
    file: str
    caught: bool
    failures: tuple[str, ...]
    seconds: float


def build_broken(client: Any, image: str, breakage: Breakage) -> str:
    """Build the broken image and return its id."""
    with tempfile.TemporaryDirectory(prefix="vldock-teeth-") as name:
        context = Path(name)
        (context / "wheels").mkdir()
        if breakage.wheels:
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(context / "wheels")]
            platform = ["--python-version", "3.11", "--only-binary", ":all:"]
            platform += [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (17, 28)]
            subprocess.run([*argv, *platform, *breakage.wheels], check=True)
        lines = [f"FROM {image}", *breakage.lines, f"LABEL {LABEL}"]
        (context / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
        made, _ = client.images.build(path=name, rm=True, forcerm=True)
    return str(made.id)


def run_file(client: Any, image: str, group: str, file: str) -> tuple[GroupResult, float]:
    """Run one file of a group against an image.

    Returns its result, without its output, and its seconds.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vldock-teeth-") as temporary:
        request = verification_suite.VerificationRequest(
            image=image, folder=checkout.root(), reports=Path(temporary), only=(file,)
        )
        result = verification_suite.run_group(group, request, client=client, say=lambda _: None)
    return result, time.monotonic() - began


def try_breakage(client: Any, image: str, breakage: Breakage) -> BreakageResult:
    """Build one broken image, run its tests, remove it."""
    made = build_broken(client, image, breakage)
    try:
        result, seconds = run_file(client, made, breakage.group, breakage.file)
    finally:
        client.images.remove(made, force=True, noprune=True)
    wanted = f"{Path(breakage.file).stem}::{breakage.test}"
    caught = any(name.startswith(wanted) for name in result.failures)
    return BreakageResult(breakage.name, breakage.group, breakage.file, caught, result.failures, round(seconds, 1))


def table(image: str, results: Sequence[BreakageResult]) -> str:
    """Return the committed Markdown table."""
    lines = [
        "# Teeth: deliberate breakages of the image, and the test that notices each",
        "",
        "Made by `make bench-teeth`. Each breakage is an image of its own; the same files pass on the unbroken image.",
        "",
        f"Image {image[:19]}: {sum(one.caught for one in results)} of {len(results)} caught.",
        "",
        "| breakage | caught by | other tests that failed | seconds |",
        "| --- | --- | ---: | ---: |",
    ]
    for one in results:
        first = f"`{one.failures[0]}`" if one.caught else "**nothing**" if not one.failures else "**another test**"
        lines.append(f"| {one.name} | {one.group}: {first} | {max(0, len(one.failures) - 1)} | {one.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def find_failures(client: Any, image: str, breakages: Iterable[Breakage]) -> list[str]:
    """Return the failures on the unbroken image."""
    failures = []
    for group, file in dict.fromkeys((one.group, one.file) for one in breakages):
        result, seconds = run_file(client, image, group, file)
        say(f"unbroken: {group} {file}: {result.status} in {seconds:.0f} s")
        failures += [f"{group} {name}" for name in result.failures]
    return failures


@click.command()
@click.argument("image", default=checkout.IMAGE_TAG)
@click.option("--only", multiple=True, help="Breakages whose name contains this; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE, help="Folder of RESULTS.md and results.json.")
def main(image: str, only: tuple[str, ...], out: Path) -> int:
    """Break IMAGE in every declared way.

    Exit code 0 only when each breakage is caught by the expected test.
    """
    chosen = [one for one in BREAKAGES if not only or any(word in one.name for word in only)]
    results: list[BreakageResult] = []
    with docker_client.open_client() as client:
        found = str(local_images.find(client, image).id)
        client.images.get(found).tag(HELD)  # a parallel build may move the name, and an image without one is pruned
        failures = find_failures(client, found, chosen)
        if failures:
            click.echo("error: the unbroken image fails: " + "; ".join(failures), err=True)
            return 1
        for number, breakage in enumerate(chosen, 1):
            results.append(try_breakage(client, found, breakage))
            one = results[-1]
            say(f"{number}/{len(chosen)} {'caught' if one.caught else 'MISSED'} {one.name}: {', '.join(one.failures)}")
        client.images.remove(HELD, noprune=True)
    if not only:
        (out / "RESULTS.md").write_text(table(found, results), encoding="utf-8")
        write_json(out / "results.json", [asdict(one) for one in results])
    missed = [one.name for one in results if not one.caught]
    click.echo(
        f"{len(results) - len(missed)} of {len(results)} caught" + (f"; missed: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(invoke(main))
