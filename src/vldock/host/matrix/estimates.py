"""Expected seconds of cells and model loads.

From earlier runs in the outputs folder, else a rough default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.common.matrix import find_benchmark, find_model
from vldock.host.matrix.scheduler import Task
from vldock.host.runs.folder import RUN_FILE, RunFolder
from vldock.host.runs.plan import Key, RunPlan
from vldock.host.runs.record import RunRecord

RUNS = 20  # number of newest runs read
START = 10.0  # seconds from `docker run` to a process that has imported everything
SECONDS_A_GB = 6.0  # of loading weights; 84 s were measured for the 13.6 GB of LLaVA-1.5-7B
SECONDS_A_SAMPLE = 0.4  # of LLaVA-1.5-7B; other models by their weight
STANDIN_LOAD, STANDIN_SAMPLE, STANDIN_ROWS = 1.0, 0.15, 10


@dataclass(frozen=True)
class PastCell:
    """A recorded cell.

    Seconds on one device, samples, and whether these were the whole benchmark.
    """

    seconds: float
    samples: int
    whole: bool


@dataclass(frozen=True)
class Estimates:
    """Expected seconds of cells and of model loads.

    `recorded` are cells timed by an earlier run.
    """

    cells: Mapping[Key, float]
    loads: Mapping[str, float]
    recorded: frozenset[Key] = frozenset()

    def load(self, model: str) -> float:
        """Return the seconds from a container's start until the model answers."""
        return START + self.loads[model]

    def tasks(self, keys: list[Key]) -> list[Task]:
        """Return cells as tasks of the scheduler."""
        return [Task(key, self.cells[key]) for key in keys]


def estimate(outputs: Path, plan: RunPlan) -> Estimates:
    """Return the estimates of a plan.

    From the runs in `outputs` on the same kind of device.
    """
    past, loads = dict[Key, PastCell](), dict[str, float]()
    for folder, record in recent_runs(outputs):
        if is_comparable(record.plan, plan):
            for key, value in read_timed_cells(folder, record):
                known = past.get(key)
                if known is None or (value.whole and not known.whole):
                    past[key] = value
            for job in reversed(record.stints):
                if job.load_seconds is not None:
                    loads.setdefault(job.model, job.load_seconds)
    return Estimates(
        {key: cell_seconds(key, plan, past.get(key)) for key in plan.cells},
        {model: loads.get(model, default_load(model, plan)) for model in plan.models},
        frozenset(key for key in plan.cells if key in past),
    )


def recent_runs(outputs: Path) -> Iterator[tuple[RunFolder, RunRecord]]:
    """Yield the newest runs first.

    A folder of no run, or of another version, is skipped.
    """
    for path in sorted((path.parent for path in outputs.glob(f"*/{RUN_FILE}")), reverse=True)[:RUNS]:
        try:
            yield RunFolder(path), RunFolder(path).load()
        except InputRefused:
            continue


def is_comparable(earlier: RunPlan, plan: RunPlan) -> bool:
    """Return whether durations of an earlier run apply to this plan."""
    return earlier.standin == plan.standin and (earlier.gpus == "none") == (plan.gpus == "none")


def read_timed_cells(folder: RunFolder, record: RunRecord) -> Iterator[tuple[Key, PastCell]]:
    """Yield the finished cells of a run.

    One shared by several devices counts for each of them.
    """
    ranks = {(job.model, name): job.ranks for job in record.stints for name in job.cells}
    for model, benchmark in record.plan.cells:
        try:
            cell = Cell.load(folder.cell(model, benchmark))
        except InputRefused:
            continue
        if cell is not None and cell.status == "succeeded" and cell.samples > 0:
            shared = ranks.get((model, benchmark), 1)
            yield (model, benchmark), PastCell(cell.seconds * shared, cell.samples, cell.limit is None)


def cell_seconds(key: Key, plan: RunPlan, past: PastCell | None) -> float:
    """Return the expected seconds of a cell.

    Recorded seconds of a sample, times the requested samples.
    """
    model, benchmark = key
    rows = past.samples if past and past.whole else STANDIN_ROWS if plan.standin else _rows(benchmark)
    samples = rows if plan.samples is None else min(rows, plan.samples)
    if past is not None:
        return samples * past.seconds / past.samples
    return samples * (STANDIN_SAMPLE if plan.standin else SECONDS_A_SAMPLE * _weight(model) / _weight("llava_v1.5_7b"))


def default_load(model: str, plan: RunPlan) -> float:
    """Return the expected seconds of loading an untimed model.

    No run here has timed it.
    """
    return STANDIN_LOAD if plan.standin else SECONDS_A_GB * _weight(model)


def _weight(model: str) -> float:
    declared = find_model(model)
    return declared.gigabytes if declared else 13.6


def _rows(benchmark: str) -> int:
    declared = find_benchmark(benchmark)
    return declared.rows if declared else 1000
