"""Tracebacks of failed runs, kept in the run's folder without secrets."""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ERRORS = "error.log"
HIDDEN = "***"
SECRET_NAME = re.compile(r"TOKEN(?!IZERS)|SECRET|PASSWORD|API_?KEY", re.IGNORECASE)
SECRET_TEXT = re.compile(r"\bhf_[A-Za-z0-9]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
SHORTEST = 8  # of a value that is a secret: "false" is none


@contextmanager
def record_failure(folder: Path, *, log: Callable[[str], None]) -> Iterator[None]:
    """Append the traceback of an error to error.log in `folder`; the error is raised as before."""
    try:
        yield
    except Exception as error:
        try:
            append(folder / ERRORS, error)
            log(f"the full traceback is in {folder / ERRORS}")
        except OSError as full:
            log(f"the traceback cannot be kept: {full}")
        raise


def append(path: Path, error: BaseException, environ: Mapping[str, str] = os.environ) -> None:
    """Append an error's traceback, with the time and the process, in one write."""
    rank, now = environ.get("RANK", "0"), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = "".join(traceback.format_exception(error))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"--- {now} process {rank}\n{without_secrets(text, environ)}\n")


def without_secrets(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text without tokens and passwords: those of the environment, of the Hub, of URLs."""
    for name, value in environ.items():
        if SECRET_NAME.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return SECRET_TEXT.sub(HIDDEN, text)
