"""The table of exit codes in docs/use/exit-codes.md, generated from the two exception trees.

Sources: vldock.common.errors and vldock.host.errors; an error's meaning is its docstring's first line.
"""

from __future__ import annotations

from collections.abc import Iterator

from vldock.common.errors import VldockError
from vldock.host import errors

OPEN = "<!-- generated from src/vldock/common/errors.py and src/vldock/host/errors.py by `make generate` -->"
CLOSE = "<!-- end generated -->"
MODULES = (VldockError.__module__, errors.__name__)


def markdown_table() -> str:
    """Return the table: code, error, meaning; by code, then as declared."""
    rows = sorted(_subclasses(VldockError), key=lambda error: error.exit_code)
    lines = [f"| {error.exit_code} | `{error.__name__}` | {_meaning(error)} |" for error in rows]
    return "\n".join(["", "| code | error | meaning |", "|---:|---|---|", *lines, ""])


def _subclasses(error: type[VldockError]) -> Iterator[type[VldockError]]:
    """Yield every error of both trees except the mere group Refusal."""
    for one in error.__subclasses__():
        if one.__module__ in MODULES:
            if one is not errors.Refusal:
                yield one
            yield from _subclasses(one)


def _meaning(error: type[VldockError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0].removesuffix(".")
