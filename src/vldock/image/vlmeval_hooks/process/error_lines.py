"""Exceptions as one line a user can act on."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from typing import Any

from vldock.common import standin_choice
from vldock.common.errors import VldockError

LONGEST = 400
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
OFFLINE_ERRORS = ("LocalEntryNotFoundError", "OfflineModeIsEnabled")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes, outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def flat(text: str) -> str:
    """Return `text` on one line, shortened to LONGEST characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= LONGEST else joined[: LONGEST - 3] + "..."


def one_line(error: BaseException) -> str:
    """Return an exception as one line.

    Its message, hint or type, and place if it has no text.
    """
    if isinstance(error, VldockError):
        parts = [error.message, f"expected {error.expected}" if error.expected else "", error.hint or ""]
        return flat("; ".join(part for part in parts if part))
    if _is_missing_from_cache(error):
        return _missing_from_cache(error)
    text = flat(str(error))
    if not text:
        frames = traceback.extract_tb(error.__traceback__)
        text = f"at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else "no message"
    return f"{type(error).__name__}: {text}"


def _is_missing_from_cache(error: BaseException) -> bool:
    return any(type(one).__name__ in OFFLINE_ERRORS for one in chain(error))


def _missing_from_cache(error: BaseException) -> str:
    """Return a line that names the cache without the files.

    Offline it has no advice to check the connection.
    """
    cache = os.environ.get("HUGGINGFACE_HUB_CACHE") or os.environ.get("HF_HOME") or "the Hugging Face cache"
    offline = next((name for name in OFFLINE_VARIABLES if os.environ.get(name)), None)
    why = f"{offline}={os.environ[offline]}" if offline else "the Hub could not be reached"
    what = flat(str(error)).split(". ")[0]
    if standin_choice.read_choice(os.environ):
        return f"it is none of the stand-ins in {cache}: leave out {standin_choice.VARIABLE} for real weights [{what}]"
    return f"not in {cache} and {why}: mount a cache that holds it (-v HOST_CACHE:{cache}) [{what}]"


def log_failure(logger: logging.Logger, model: str, benchmark: str, error: BaseException) -> None:
    """Log a failed cell.

    One short line on the console, the traceback in the log file only.
    """
    logger.error(f"{model} x {benchmark} failed; the cause is told at the end, the traceback is in the log file")
    logger.error(f"{model} x {benchmark} failed", exc_info=error, extra={"file_only": True})


def keep_on_console(record: logging.LogRecord) -> bool:
    """Return False for records marked `file_only`: a filter of the console handler."""
    return not getattr(record, "file_only", False)


class ConsoleFormatter(logging.Formatter):
    """Formatter without traceback.

    The file handler, given the same record, still has it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line(s) for the console."""
        fields: dict[str, Any] = {**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None}
        return super().format(logging.makeLogRecord(fields))
