"""The value every check of the doctor returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, what was seen, what was expected, and what to do about it."""

    name: str
    status: Status
    seen: str
    expected: str | None = None
    hint: str | None = None


def guarded(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    """Return what `look` finds; a look that breaks is itself a finding."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - the doctor reports, whatever state the container is in
        return [Check(name, "fail", f"{type(error).__name__}: {error}", "a check that runs to its end")]
