"""Report of a self-test: a table, and a JSON object."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock import __version__
from vldock.common.image_paths import BUILD_FACTS
from vldock.image.selftest.steps import FAILED, LEFT_OUT, Step
from vldock.image.version import installed_version

SCHEMA = 1
PACKAGES = ("torch", "transformers", "llava-torch", "ms-vlmeval", "peft", "bitsandbytes", "accelerate")
WIDEST = 160


@dataclass(frozen=True)
class Report:
    """Report of a finished self-test.

    `device` is the GPU's name, or cpu; `seconds` is the duration of all steps.
    """

    device: str
    quick: bool
    jobs: int
    seconds: float
    steps: tuple[Step, ...]

    @property
    def failed(self) -> tuple[Step, ...]:
        """Failed steps."""
        return tuple(step for step in self.steps if step.status == FAILED)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values.

        Versions, image, device, and each step's status, seconds and figures.
        """
        return {
            "schema": SCHEMA,
            "passed": not self.failed,
            "device": self.device,
            "quick": self.quick,
            "jobs": self.jobs,
            "seconds": self.seconds,
            "standin": True,
            "image": image_facts(),
            "versions": {"vldock": __version__, **{name: installed_version(name) for name in PACKAGES}},
            "steps": [asdict(step) for step in self.steps],
        }

    def table(self, *, width: int | None = None) -> str:
        """Return the table with its verdict on top.

        It is wrapped to the terminal's width.
        """
        width = min(WIDEST, width or shutil.get_terminal_size((120, 40)).columns)
        long = max(len(step.name) for step in self.steps)
        room = max(30, width - long - 27)
        left = sum(step.status == LEFT_OUT for step in self.steps)
        without = f"; {left} left out, which need{'s' if left == 1 else ''} a GPU" if left else ""
        verdict = "FAILED" if self.failed else "PASSED"
        lines = [
            f"selftest {verdict} on {self.device} in {self.seconds:.0f} s{without}{' (quick)' if self.quick else ''}",
            f"  {'step':<{long}}  {'status':<11}  {'seconds':>7}  what was seen",
        ]
        for step in self.steps:
            first, *more = textwrap.wrap(step.seen, room) or [""]
            status = step.status.upper() if step.status == FAILED else step.status
            lines.append(f"  {step.name:<{long}}  {status:<11}  {step.seconds:>7.1f}  {first}")
            lines += [" " * (long + 26) + line for line in more]
        return "\n".join(lines)

    def failures(self) -> list[str]:
        """Return one line for each failed step."""
        return [f"FAILED {step.name}: {step.seen}" for step in self.failed]


def image_facts() -> dict[str, Any]:
    """Return the build facts of this image; empty outside an image."""
    path = Path(BUILD_FACTS)
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return facts
