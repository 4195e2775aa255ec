"""`vldock matrix`: every cell evaluated, one container and one model load per model, resumable after any death."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common import cache_env
from vldock.common.cell import Cell
from vldock.common.engine_choice import BATCH_VARIABLE, ENGINE_VARIABLE
from vldock.common.passport import IMAGE_VARIABLE
from vldock.common.passport_prompts import VARIABLE as PROMPT_VARIABLE
from vldock.host import containers, results, run_folder, written
from vldock.host.container_spec import Spec, workspace_mounts
from vldock.host.events import Event, Sink, SummaryLog, event, fan_out
from vldock.host.model_run import Launch, ModelRun, Watched
from vldock.host.plan import Plan
from vldock.host.run_folder import RunFolder, RunRecord, State
from vldock.host.signals import signals_interrupt

ROLE = "matrix"
Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outcome:
    """A run's end: every cell of the plan that has a record, in the plan's order."""

    folder: RunFolder
    record: RunRecord
    cells: tuple[Cell, ...]

    @property
    def succeeded(self) -> int:
        """How many cells have a trustworthy score."""
        return sum(cell.status == "succeeded" for cell in self.cells)

    @property
    def total(self) -> int:
        """How many cells were asked."""
        return len(self.record.plan.cells)

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "run": str(self.folder.path),
            "state": self.record.state,
            "standin": self.record.plan.standin,
            "succeeded": self.succeeded,
            "total": self.total,
            "seconds": round(self.record.seconds, 3),
            "report": str(self.folder.report),
            "page": str(self.folder.page),
            "cells": [
                {"model": c.model, "benchmark": c.benchmark, "status": c.status, "score": c.score, "error": c.error}
                for c in self.cells
            ],
        }


def spec(plan: Plan, *, folder: RunFolder, run_id: str, model: str, benchmarks: Sequence[str]) -> Spec:
    """Return the container that evaluates one model on the benchmarks."""
    inside = f"{cache_env.OUTPUTS}/{folder.name}"
    limit = ["--limit", str(plan.samples)] if plan.samples else []
    return Spec(
        image=plan.image_id,
        argv=(
            *("python", "-m", "vldock.image", "evaluate", "--json", "--model", model),
            *("--data", *benchmarks, *limit, "--out", inside),
        ),
        role=ROLE,
        run_id=run_id,
        env={
            IMAGE_VARIABLE: plan.image_id,
            PROMPT_VARIABLE: plan.prompt,
            ENGINE_VARIABLE: plan.engine,
            BATCH_VARIABLE: "" if plan.batch_size is None else str(plan.batch_size),
            **({"VLDOCK_STANDIN": "1"} if plan.standin else {}),
        },
        mounts=workspace_mounts(
            outputs=folder.path.parent,
            data=_path(plan.data),
            cache=_path(plan.cache),
            env_file=_path(plan.env_file),
            read_only_inputs=plan.read_only_inputs,
        ),
        user=plan.user,
        gpus=plan.gpus,
        network=plan.network,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def docker_launch(client: Any, plan: Plan, *, folder: RunFolder, run_id: str) -> Launch:
    """Return the launcher that starts real containers."""

    def launch(model: str, benchmarks: Sequence[str]) -> AbstractContextManager[Watched]:
        return containers.running(client, spec(plan, folder=folder, run_id=run_id, model=model, benchmarks=benchmarks))

    return launch


def execute(
    folder: RunFolder, record: RunRecord, *, launch: Launch, show: Sink, facts: Mapping[str, Any], now: Now = utc_now
) -> Outcome:
    """Work on a run until every cell has a record, and write its tables and report; the caller holds its lock.

    A KeyboardInterrupt (Ctrl-C, SIGTERM) ends the container, keeps what is done, writes the report of that, and goes on
    to the caller.
    """
    started = now().isoformat()
    record = replace(
        record,
        state="running",
        facts=dict(facts),
        sessions=(*record.sessions, run_folder.Session(started, started)),
    )
    folder.save(record)
    log = SummaryLog(folder.summary, now=now)
    work = _Work(folder, record, fan_out(log, show), launch, now)
    try:
        with signals_interrupt():
            work.all_models()
    except BaseException as error:
        work.close("interrupted", reason=type(error).__name__)
        raise
    else:
        return work.close("finished")
    finally:
        log.close()


class _Work:
    """The state of `execute`: the record moves on with every cell, the cells gather."""

    def __init__(self, folder: RunFolder, record: RunRecord, sink: Sink, launch: Launch, now: Now) -> None:
        self.folder, self.record, self.launch, self.now = folder, record, launch, now
        self.plan: Plan = record.plan
        self._sink = sink
        self.cells: dict[tuple[str, str], Cell] = folder.finished_cells(self.plan)

    def sink(self, item: Event) -> None:
        self._sink(item)
        if item["event"] == "cell_end":
            self.record = self.record.ticked(self.now())
            self.folder.save(self.record)

    def all_models(self) -> None:
        kept = len(self.cells)
        self.sink(
            event("run_start", run=self.folder.name, cells=len(self.plan.cells), kept=kept, standin=self.plan.standin)
        )
        for cell in list(self.cells.values()):
            self._sink(event("cell_end", kept=True, **_fields(cell)))
        for model in self.plan.models:
            waiting = [name for name in self.plan.benchmarks if (model, name) not in self.cells]
            if waiting:
                run = ModelRun(model, self.plan, self.folder, self.launch, self.sink)
                for name, cell in run.run(waiting).items():
                    self.cells[model, name] = cell
            self.tables(model)

    def tables(self, model: str) -> None:
        rows = [self.cells[key] for key in self.plan.cells if key[0] == model and key in self.cells]
        results.write_csv(self.folder.results(model, "csv"), rows)
        results.write_xlsx(self.folder.results(model, "xlsx"), rows, standin=self.plan.standin)

    def close(self, state: State, *, reason: str | None = None) -> Outcome:
        if state == "interrupted":
            self.cells |= self.folder.finished_cells(self.plan)
        self.record = replace(self.record.ticked(self.now()), state=state)
        self.folder.save(self.record)
        cells = tuple(self.cells[key] for key in self.plan.cells if key in self.cells)
        outcome = Outcome(self.folder, self.record, cells)
        written.reports(self.folder, self.record, cells)
        counts = Counter(cell.status for cell in cells)
        values = {"succeeded": counts["succeeded"], "failed": counts["failed"], "seconds": self.record.seconds}
        self._sink(event("run_end", state=state, standin=self.plan.standin, reason=reason, **values))
        return outcome


def _fields(cell: Cell) -> dict[str, Any]:
    names = ("model", "benchmark", "status", "score", "metric", "samples", "seconds", "standin", "error")
    return {name: getattr(cell, name) for name in names}
