"""One exception tree for both sides of vldock.

VldockError                 exit 1   anything vldock reports to its user
├── UsageError              exit 2   the command line or an environment variable is wrong
├── EnvironmentUnfit        exit 3   the machine cannot do it: engine, disk, permission, driver
├── InputRefused            exit 4   a lock, patch target, data file or weight is not what was declared
└── EvaluationFailed        exit 1   at least one cell has no trustworthy score

Each error says what happened with the value, what was expected, and the next command.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Sequence


class VldockError(Exception):
    """An error with the value seen.

    `expected` and `hint` are printed on separate lines.
    """

    exit_code = 1

    def __init__(self, message: str, *, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.hint = hint

    def render(self) -> str:
        """Return the lines for standard error: error, expected, hint."""
        lines = [f"error: {self.message}"]
        if self.expected:
            lines.append(f"expected: {self.expected}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(VldockError):
    """The command line or an environment variable is wrong."""

    exit_code = 2


class EnvironmentUnfit(VldockError):
    """The machine lacks what the command needs: engine, disk, permission, driver."""

    exit_code = 3


class InputRefused(VldockError):
    """A lock, patch target, data file or weight differs from its declaration."""

    exit_code = 4


class EvaluationFailed(VldockError):
    """At least one cell has no trustworthy score."""

    exit_code = 1


def list_first(found: Sequence[object], most: int) -> str:
    """Return the first of what was found, each on an indented line of its own, and how many more there are."""
    more = f"\n  and {len(found) - most} more" if len(found) > most else ""
    return "".join(f"\n  {one}" for one in found[:most]) + more
