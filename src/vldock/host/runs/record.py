"""run.json as a value: plan, work periods, and each container's work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from vldock import __version__
from vldock.host.runs.devices import Placement
from vldock.host.runs.plan import RunPlan

RUN_SCHEMA = 1
State = Literal["running", "interrupted", "finished"]


@dataclass(frozen=True)
class WorkPeriod:
    """One period of work of a host process.

    `finished` moves on with every cell, so a kill loses one cell of it.
    """

    started: str
    finished: str

    @property
    def seconds(self) -> float:
        """Wall time in seconds."""
        return (datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds()


@dataclass(frozen=True)
class JobRecord:
    """One container's work: device, cells finished, end ('done', or the reason).

    `seconds` is wall time from its start to its end; `load_seconds` None where no model was loaded. `ranks` are the
    devices that shared its cells.
    """

    device: str
    model: str
    started: str
    seconds: float
    cells: tuple[str, ...] = ()
    load_seconds: float | None = None
    ranks: int = 1
    end: str = "done"


@dataclass(frozen=True)
class RunRecord:
    """run.json: the plan, its work periods, and whether it is finished."""

    run_id: str
    created: str
    plan: RunPlan
    state: State = "running"
    sessions: tuple[WorkPeriod, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    where: Placement = field(default_factory=Placement)
    stints: tuple[JobRecord, ...] = ()
    vldock: str = __version__
    schema: int = RUN_SCHEMA

    @property
    def seconds(self) -> float:
        """Wall time of all sessions together."""
        return sum(session.seconds for session in self.sessions)

    @property
    def cell_devices(self) -> dict[tuple[str, str], str]:
        """The finishing device of each cell, where known."""
        return {(stint.model, name): stint.device for stint in self.stints for name in stint.cells}

    def with_time(self, now: datetime) -> RunRecord:
        """Return the record with its last session lasting until `now`."""
        last = replace(self.sessions[-1], finished=now.isoformat())
        return replace(self, sessions=(*self.sessions[:-1], last))
