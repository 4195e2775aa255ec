"""`vldock matrix --dry-run`: which cell is expected on which device, when all is done, and the docker commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vldock.host.matrix import estimates, runner, scheduler
from vldock.host.matrix.estimates import Estimates
from vldock.host.matrix.executor import DeviceJob
from vldock.host.matrix.scheduler import Planned, Schedule, Task
from vldock.host.runs.devices import Device, Placement
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import Key, RunPlan
from vldock.host.runs.record import RunRecord
from vldock.host.util.console import duration_text
from vldock.host.util.process import shell_text


def show(
    plan: RunPlan,
    where: Placement,
    places: Sequence[Device],
    found: tuple[RunFolder, RunRecord] | None,
    *,
    outputs: Path,
) -> int:
    """Print what a run would do, starting nothing, and return the exit code."""
    folder = found[0] if found else RunFolder(outputs / "TIMESTAMP")
    kept = folder.finished_cells(plan)
    waiting = [key for key in plan.cells if key not in kept]
    print(f"{'continues ' + folder.name if found else 'a new run'}: {len(plan.cells)} cells, {len(kept)} kept")
    expected = estimates.estimate(outputs, plan)
    ahead = expected_schedule(expected, waiting, places, where)
    timed = sum(key in expected.recorded for key in waiting)
    source = f"by the recorded durations of {timed} of {len(waiting)} cells"
    print(f"expected: {duration_text(ahead.makespan)}, {source}")
    for place in places:
        mine = ahead.of(place.name)
        if len(places) > 1:
            end = duration_text(max((item.ends for item in mine), default=0.0))
            print("\n".join([f"\n{place.name}: {len(mine)} cells, done after {end}", *map(cell_line, mine)]))
        for model in plan.models if len(places) == 1 else dict.fromkeys(item.key[0] for item in mine):
            names = [item.key[1] for item in mine if item.key[0] == model]
            print(f"\n{model}: {len(names)} cells")
            if names:
                spec = runner.spec(plan, folder=folder, run_id="RUN", job=DeviceJob(model, place), benchmarks=names)
                print(shell_text(spec.docker_argv()))
    return 0


def expected_schedule(
    expected: Estimates, waiting: Sequence[Key], places: Sequence[Device], where: Placement
) -> Schedule:
    """Return how the run is expected to go."""
    tasks = [Task(task.key, task.seconds / places[0].ranks) for task in expected.tasks(list(waiting))]
    names = [place.name for place in places]
    return scheduler.simulate(names, tasks, load=expected.load, wide=where.data_parallel == "auto")


def cell_line(item: Planned) -> str:
    """Return a cell as one line: when it is expected to begin and end, in seconds, and with whom it is shared."""
    shared = f"  on {len(item.seats)} devices at once" if len(item.seats) > 1 else ""
    return f"  {item.begins:>8.0f} - {item.ends:>8.0f} s  {item.key[0]} {item.key[1]}{shared}"
