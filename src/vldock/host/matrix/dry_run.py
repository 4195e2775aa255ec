"""Text of `vldock matrix --dry-run`: expected times, and docker commands.

The times are of cells, each with the device expected to run it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vldock.host.matrix import estimates, job_container, scheduler
from vldock.host.matrix.estimates import Estimates
from vldock.host.matrix.executor import DeviceJob
from vldock.host.matrix.scheduler import Planned, Schedule, Task
from vldock.host.runs.devices import Device, Placement
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import Key, RunPlan
from vldock.host.runs.record import RunRecord
from vldock.host.util.console import duration_text
from vldock.host.util.process import shell_text


def lines(
    plan: RunPlan,
    where: Placement,
    places: Sequence[Device],
    found: tuple[RunFolder, RunRecord] | None,
    *,
    outputs: Path,
) -> Iterator[str]:
    """Yield the lines of a planned run.

    `found` is the run it would continue.
    """
    folder = found[0] if found else RunFolder(outputs / "TIMESTAMP")
    finished = folder.finished_cells(plan)
    waiting = [key for key in plan.cells if key not in finished]
    yield f"{'continues ' + folder.name if found else 'a new run'}: {len(plan.cells)} cells, {len(finished)} kept"
    expected = estimates.estimate(outputs, plan)
    schedule = expected_schedule(expected, waiting, places, where)
    timed = sum(key in expected.recorded for key in waiting)
    source = f"by the recorded durations of {timed} of {len(waiting)} cells"
    yield f"expected: {duration_text(schedule.makespan)}, {source}"
    for place in places:
        mine = schedule.of(place.name)
        if len(places) > 1:
            end = duration_text(max((item.ends for item in mine), default=0.0))
            yield from [f"\n{place.name}: {len(mine)} cells, done after {end}", *map(cell_line, mine)]
        for model in plan.models if len(places) == 1 else dict.fromkeys(item.key[0] for item in mine):
            names = [item.key[1] for item in mine if item.key[0] == model]
            yield f"\n{model}: {len(names)} cells"
            if names:
                job = DeviceJob(model, place)
                spec = job_container.spec(plan, folder=folder, run_id="RUN", job=job, benchmarks=names)
                yield shell_text(spec.docker_argv())


def expected_schedule(
    expected: Estimates, waiting: Sequence[Key], places: Sequence[Device], where: Placement
) -> Schedule:
    """Return the expected course of the run."""
    tasks = [Task(task.key, task.seconds / places[0].ranks) for task in expected.tasks(list(waiting))]
    names = [place.name for place in places]
    return scheduler.simulate(names, tasks, load=expected.load, share=where.data_parallel == "auto")


def cell_line(item: Planned) -> str:
    """Return a cell as one line.

    Expected begin and end in seconds, and the number of devices that share it.
    """
    shared = f"  on {len(item.devices)} devices at once" if len(item.devices) > 1 else ""
    return f"  {item.begins:>8.0f} - {item.ends:>8.0f} s  {item.key[0]} {item.key[1]}{shared}"
