"""Soak test of one session: flat memory over many evaluations: `make soak-session`.

Every evaluation is a separate `docker exec`, as a user types it, on the stand-ins. Memory is what the session tells
of its server and worker at rest; flat means that the median of the last tenth is within TOLERANCE of the median of the
second tenth (in the first, caches fill).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from vldock.common.filesystem.atomic import write_json
from vldock.common.matrix import matrix_benchmarks
from vldock.host.cli.main import invoke
from vldock.host.containers import cleanup, terminal
from vldock.host.containers.lifecycle import Container
from vldock.host.docker_engine import client as docker_client
from vldock.host.sessions import control as session_control
from vldock.host.sessions import display as session_display
from vldock.host.sessions import find as session_find
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions import start as session_start
from vldock.host.sessions.find import Session
from vldock.host.util import checkout
from vldock.host.util.console import console, say, size_text

HERE = Path(__file__).parent
MODEL = "llava_v1.5_7b"
NAME = "soak"
TOLERANCE = 0.02
SAMPLES = 3
SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Soak:
    """Measurements of a campaign: memory (bytes) after, and seconds of, each evaluation."""

    image_id: str
    evaluations: int
    exit_codes: dict[int, int]
    worker_restarts: int
    descriptors: tuple[int, int]
    memory: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def tenth(self) -> int:
        """Number of evaluations in a tenth."""
        return max(1, self.evaluations // 10)

    @property
    def early(self) -> float:
        """Median memory of the second tenth."""
        return statistics.median(self.memory[self.tenth : 2 * self.tenth])

    @property
    def late(self) -> float:
        """Median memory of the last tenth."""
        return statistics.median(self.memory[-self.tenth :])

    @property
    def growth(self) -> float:
        """Relative growth of memory, negative where it shrank."""
        return self.late / self.early - 1

    @property
    def sound(self) -> bool:
        """Return whether the session passed the soak.

        A session passes where memory is flat, all exit codes are 0, and the worker never died.
        """
        all_well = set(self.exit_codes) == {0} and self.worker_restarts == 0
        return all_well and abs(self.growth) <= TOLERANCE and self.descriptors[1] <= self.descriptors[0]


@contextmanager
def start_session(client: Any, image: str, outputs: Path) -> Iterator[Session]:
    """Yield a session on the stand-ins, removed afterwards."""
    asked = session_spec.SessionOptions(NAME, (MODEL,), None, "no", True, "soak")
    careful = terminal.make_spec(
        (),
        image=image,
        env=terminal.parse_environment((), standin=True),
        outputs=outputs,
        data=None,
        cache=None,
        env_file=None,
        user=terminal.caller_user(),
        gpus="none",
        network="none",
    )
    session_start.refuse_taken_name(session_find.find_named(client, NAME))
    wanted = session_spec.container_spec(asked, careful, reaps=True)
    with session_display.show_loading(console(stderr=True), name=NAME) as show:
        session = session_start.start(client, wanted, show=show, seconds=600)
    try:
        yield session
    finally:
        cleanup.end_container(session.handle)


def wait_until_idle(session: Session) -> dict[str, Any]:
    """Return the status of the session once it is idle."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        status = session_control.read_status(session)
        if status is not None and not status.evaluations:
            return status.raw
        time.sleep(0.1)
    raise TimeoutError(f"session {session.name} is not at rest after {SETTLE_SECONDS:g} s")


def count_descriptors(session: Session, pid: int) -> int:
    """Return the number of files the server holds open."""
    return len(session_control.run_short(session.handle, ["ls", f"/proc/{pid}/fd"]).stdout.split())


def soak(session: Session, image_id: str, evaluations: int) -> Soak:
    """Evaluate repeatedly and measure after each evaluation."""
    benchmarks = [item.name for item in matrix_benchmarks()]
    codes, memory, seconds = Counter[int](), list[int](), list[float]()
    first = count_descriptors(session, wait_until_idle(session)["pid"])
    for number in range(evaluations):
        argv = ["python", session_spec.RUN_PY, "--model", MODEL, "--data", benchmarks[number % len(benchmarks)]]
        # A separate folder, or the predictions of the last time would be kept and nothing answered.
        argv += ["--limit", str(SAMPLES), "--work-dir", f"/workspace/outputs/{number}"]
        began = time.monotonic()
        done = Container(session.handle, iter(())).execute(argv)
        seconds.append(round(time.monotonic() - began, 3))
        codes[done.exit_code] += 1
        if done.exit_code:
            say(done.text)
        memory.append(int(wait_until_idle(session)["rss_bytes"]))
        if number % 10 == 9:
            say(f"{number + 1}/{evaluations}: {size_text(memory[-1])}, {seconds[-1]:.1f} s")
    status = wait_until_idle(session)
    last = count_descriptors(session, status["pid"])
    restarts = int(status["worker_restarts"])
    return Soak(image_id, evaluations, dict(codes), restarts, (first, last), tuple(memory), tuple(seconds))


def table(made: Soak) -> str:
    """Return the text of RESULTS.md."""
    rows = [
        ("evaluations", f"{made.evaluations}, {SAMPLES} samples each, over the 20 benchmarks"),
        ("exit codes", ", ".join(f"{code}: {count}" for code, count in sorted(made.exit_codes.items()))),
        ("worker restarts", str(made.worker_restarts)),
        ("memory, second tenth", size_text(made.early)),
        ("memory, last tenth", size_text(made.late)),
        ("growth", f"{100 * made.growth:+.2f} % (allowed {100 * TOLERANCE:g} %)"),
        ("server's open files", f"{made.descriptors[0]} before, {made.descriptors[1]} after"),
        ("seconds an evaluation", f"{statistics.median(made.seconds):.1f} (median)"),
    ]
    lines = ["# One session, many evaluations", "", "Made by `make soak-session`, on the stand-ins.", ""]
    lines += [f"Image {made.image_id[:19]}, {os.cpu_count()} cores.", "", "| what | seen |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows), ""])


@click.command()
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--evaluations", default=200, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="Folder of RESULTS.md.")
def main(image: str, evaluations: int, out: Path) -> int:
    """Run the campaign and write its table.

    Exit code 1 where memory is not flat or an evaluation failed.
    """
    with docker_client.open_client() as client, tempfile.TemporaryDirectory(prefix="vldock-soak-") as name:
        image_id = str(client.images.get(image).id)
        with start_session(client, image_id, Path(name) / "outputs") as session:
            made = soak(session, image_id, evaluations)
    write_json(out / "results.json", asdict(made))
    (out / "RESULTS.md").write_text(table(made), encoding="utf-8")
    click.echo(table(made))
    return 0 if made.sound else 1


if __name__ == "__main__":
    sys.exit(invoke(main))
