"""outputs/<timestamp>/: a run's folder, its run.json, and its lock."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.common.filesystem.atomic import write_json
from vldock.host.runs.devices import Placement
from vldock.host.runs.plan import RunPlan, why_not_success
from vldock.host.runs.record import RUN_SCHEMA, JobRecord, RunRecord, WorkPeriod
from vldock.host.util import process_lock

RUN_FILE = "run.json"
LOCK_FILE = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """Paths inside outputs/<timestamp>/."""

    path: Path

    @property
    def name(self) -> str:
        """The timestamp."""
        return self.path.name

    @property
    def summary(self) -> Path:
        """The log of events."""
        return self.path / "logs" / "evaluation_summary.log"

    @property
    def report(self) -> Path:
        """EVALUATION_REPORT.md."""
        return self.path / "EVALUATION_REPORT.md"

    @property
    def page(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    def model_log(self, model: str) -> Path:
        """The log of a model: the output of all its containers."""
        return self.path / "logs" / f"{model}.log"

    def cell(self, model: str, benchmark: str) -> Path:
        """The folder of a cell."""
        return self.path / model / benchmark

    def results(self, model: str, suffix: str) -> Path:
        """The table of a model, 'csv' or 'xlsx'."""
        return self.path / "results" / f"{model}_results.{suffix}"

    def save(self, record: RunRecord) -> None:
        """Write run.json atomically."""
        write_json(self.path / RUN_FILE, {**asdict(record), "plan": record.plan.as_json()})

    def load(self) -> RunRecord:
        """Read run.json; raises InputRefused where there is none, or it is not one."""
        try:
            raw = json.loads((self.path / RUN_FILE).read_text(encoding="utf-8"))
            plan = RunPlan.from_json(raw.pop("plan"))
            sessions = tuple(WorkPeriod(**item) for item in raw.pop("sessions"))
            where = Placement(**raw.pop("where", {}))
            stints = tuple(JobRecord(**{**item, "cells": tuple(item["cells"])}) for item in raw.pop("stints", ()))
            return RunRecord(plan=plan, sessions=sessions, where=where, stints=stints, **raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputRefused(
                f"{self.path} is no folder of a run: {error}",
                expected=f"{RUN_FILE} of schema {RUN_SCHEMA}, written by vldock matrix",
                hint="start a new run: vldock matrix --fresh",
            ) from error

    def finished_cells(self, plan: RunPlan) -> dict[tuple[str, str], Cell]:
        """Return the successes of this plan on disk.

        A record that cannot be read is not one.

        A cell whose TSV was touched after it began is left to the container, which compares the file's digest.
        """
        found = {}
        for model, benchmark in plan.cells:
            try:
                cell = Cell.load(self.cell(model, benchmark))
            except InputRefused:
                continue
            if cell is not None and why_not_success(cell, plan) is None and not is_data_newer(plan, cell):
                found[model, benchmark] = cell
        return found


def is_data_newer(plan: RunPlan, cell: Cell) -> bool:
    """Return whether the benchmark's TSV is younger than the cell."""
    path = Path(plan.data) / f"{cell.benchmark}.tsv" if plan.data else None
    return (
        path is not None and path.is_file() and path.stat().st_mtime > datetime.fromisoformat(cell.started).timestamp()
    )


def create(
    outputs: Path, plan: RunPlan, *, now: datetime, where: Placement | None = None
) -> tuple[RunFolder, RunRecord]:
    """Make outputs/<timestamp>/ (UTC) with its run.json.

    A folder of the same second gets a number.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(1, 100):
        folder = RunFolder(outputs / (stamp if number == 1 else f"{stamp}-{number}"))
        try:
            folder.path.mkdir(parents=True)
        except FileExistsError:
            continue
        name = uuid.uuid4().hex[:12]
        record = RunRecord(run_id=name, created=now.isoformat(), plan=plan, where=where or Placement())
        folder.save(record)
        give_to_user(folder, plan.user)
        return folder, record
    raise EnvironmentUnfit(f"{outputs} has 99 runs of the second {stamp}", hint="wait a second")


def give_to_user(folder: RunFolder, user: str | None) -> None:
    """Make the folders a container writes in, writable for its user."""
    for path in (folder.path, folder.path / "logs", folder.path / "results"):
        path.mkdir(exist_ok=True)
        uid, _, gid = (user or "").partition(":")
        if os.geteuid() == 0 and uid.isdecimal():
            os.chown(path, int(uid), int(gid) if gid.isdecimal() else -1)
        elif uid.isdecimal() and int(uid) != os.geteuid():
            path.chmod(0o777)  # another user's container writes here; only root could give it the folder


def latest_unfinished(outputs: Path) -> tuple[RunFolder, RunRecord] | None:
    """Return the newest run of `outputs` if it is not finished; None otherwise."""
    runs = sorted((path.parent for path in outputs.glob(f"*/{RUN_FILE}")), reverse=True)
    if not runs:
        return None
    folder = RunFolder(runs[0])
    record = folder.load()
    return None if record.state == "finished" else (folder, record)


@contextmanager
def lock_run(folder: RunFolder) -> Iterator[None]:
    """Lock the run; the kernel releases it when this process dies.

    Raises EnvironmentUnfit when another process holds it.
    """

    def on_busy(holder: str) -> EnvironmentUnfit:
        return EnvironmentUnfit(
            f"{folder.path} is being worked on by process {holder}",
            expected="one vldock matrix for one run",
            hint="wait for it, or start another run beside it: vldock matrix --fresh",
        )

    with (folder.path / LOCK_FILE).open("a+") as stream:
        process_lock.take(stream, on_busy=on_busy)
        yield
