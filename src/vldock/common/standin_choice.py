"""VLDOCK_STANDIN: stand-ins, on their own samples or on $LMUData's tables.

Read at every start, so it imports nothing slow.
"""

from __future__ import annotations

from vldock.common.errors import UsageError

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE = "VLDOCK_STANDIN"
NOTHING, ALL, WEIGHTS = "", "1", "weights"
WORDS = {
    **dict.fromkeys(("", "0", "false", "no", "off"), NOTHING),
    **dict.fromkeys(("1", "true", "yes", "on"), ALL),
    WEIGHTS: WEIGHTS,
}


def read_choice(environ: Mapping[str, str]) -> str:
    """Return NOTHING, ALL (weights and samples) or WEIGHTS (samples are $LMUData's).

    Raises UsageError for another value.
    """
    word = environ.get(VARIABLE, "").strip().lower()
    if word not in WORDS:
        raise UsageError(
            f"{VARIABLE}={word} is not known",
            expected="1 (stand-in weights and samples), weights (stand-in weights, the tables in $LMUData) or 0",
        )
    return WORDS[word]


def require(names: Iterable[str]) -> None:
    """Raise UsageError for models without a stand-in."""
    from vldock.common.matrix import MODELS

    having = [model.name for model in MODELS if model.standin]
    if without := [name for name in names if name not in having]:
        raise UsageError(
            f"no stand-in exists for {', '.join(without)}, only for {', '.join(having)}",
            hint=f"for real weights leave out {VARIABLE} (on the host: --standin)",
        )
