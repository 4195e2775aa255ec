"""One finding of a doctor or a preflight check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "warn", "fail", "skip"]
MARK = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


@dataclass(frozen=True)
class Check:
    """One finding: its name, status, actual value, expected value and hint."""

    name: str
    status: Status
    seen: str
    expected: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return f"{MARK[self.status]} {self.name:<8} {self.seen}" + (f"\n     hint: {self.hint}" if self.hint else "")

    def as_json(self) -> dict[str, Any]:
        """Return the plain values `vldock doctor --json` and `vldock cache doctor --json` print."""
        return {"name": self.name, "state": self.status, "seen": self.seen, "hint": self.hint}


def run_check(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    """Return the findings of `look`; an exception in it is a finding too."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - the doctor reports, whatever state the container is in
        return [Check(name, "fail", f"{type(error).__name__}: {error}", "a check that runs to its end")]
