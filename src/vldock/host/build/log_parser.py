"""Parser of a `docker build` log.

It finds the failed stage, and packages whose hash did not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import shorten

STEP = re.compile(r"^#(\d+) \[(?:(?P<stage>[\w.-]+) +)?(?P<step>\d+/\d+)\] (?P<what>.*)$")
FAILED = re.compile(r"^#(\d+) ERROR: .*?(?P<end>exit code: \d+)?$")
TEXT = re.compile(r"^#(\d+) (?:\d+\.\d+ )?(.*)$")
COMPLAINT = re.compile(r"^(ERROR|error|E|fatal)\b *:")
MOUNT = re.compile(r"--mount=\S+ ")
PIP_MISMATCH = re.compile(r"THESE PACKAGES DO NOT MATCH THE HASHES")
PIP_PACKAGE = re.compile(r"^\s{2,}(\S+?)(?:==(\S+))?(?: from .*)?(?: \(from .*\))?:?$")
UV_MISMATCH = re.compile(r"Hash mismatch for `([^`]+)`")


@dataclass
class BuildLog:
    """State of the parser after the lines so far."""

    steps: dict[str, str] = field(default_factory=dict)
    complaints: dict[str, str] = field(default_factory=dict)
    failed_step: str | None = None
    cause: str | None = None
    mismatches: list[str] = field(default_factory=list)
    _in_mismatch: bool = False

    def feed(self, line: str) -> None:
        """Parse one line of plain progress output."""
        if match := STEP.match(line):
            what = shorten(MOUNT.sub("", match["what"]), 60, placeholder=" ...")
            self.steps[match.group(1)] = f"{match['stage'] or 'the only one'}, step {match['step']} ({what})"
        elif (match := FAILED.match(line)) and self.failed_step is None:
            number = match.group(1)
            self.failed_step = self.steps.get(number, f"unknown, step {number}")
            self.cause = self.complaints.get(number) or match["end"]
        elif match := TEXT.match(line):
            number, text = match.groups()
            if COMPLAINT.match(text):
                self.complaints[number] = text
            self._feed_hashes(text)

    def _feed_hashes(self, text: str) -> None:
        if match := UV_MISMATCH.search(text):
            self._add(match.group(1))
        elif PIP_MISMATCH.search(text):
            self._in_mismatch = True
        elif self._in_mismatch and text.strip().startswith(("Expected", "Got", "or ")):
            pass
        elif self._in_mismatch and (match := PIP_PACKAGE.match(text)):
            self._add("==".join(filter(None, match.groups())))
        elif self._in_mismatch and text.strip():
            self._in_mismatch = False

    def _add(self, package: str) -> None:
        if package not in self.mismatches:
            self.mismatches.append(package)

    @property
    def stage(self) -> str | None:
        """Name of the failed stage, or None.

        It is None where the failure was not in a step.
        """
        return self.failed_step.partition(",")[0] if self.failed_step else None
