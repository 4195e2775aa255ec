"""Standard output as a stream of events: JSON lines or plain lines."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

Emit = Callable[..., None]


@contextmanager
def capture(log: Path, *, as_json: bool) -> Iterator[Emit]:
    """Redirect the output of this process and its children to `log`.

    Yields the function that emits events.
    The file descriptors are redirected, so the output of C libraries is included. Both are restored afterwards.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as sink, os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        _line_by_line(True)
        try:
            yield make_emitter(stream, as_json=as_json)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            _line_by_line(sys.stdout.isatty())
            for descriptor, target in zip(saved, (1, 2), strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)


def _line_by_line(enabled: bool) -> None:
    """Buffer stdout by line.

    Lines of stdout and stderr are then in order in the log.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=enabled)


def make_emitter(stream: TextIO, *, as_json: bool) -> Emit:
    """Return a function that writes one event to `stream`.

    It takes the event's name and fields, and flushes the stream.
    """

    def emit(event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, ensure_ascii=False) if as_json else as_text(event, fields)
        if line:
            print(line, file=stream, flush=True)

    return emit


def as_text(event: str, fields: dict[str, Any]) -> str:
    """Return an event as one line of text.

    The line is empty for an event meant for programs only.
    """
    if event == "cell_end":
        return _cell_line(fields)
    if event == "start":
        standin = "  STAND-IN" if fields["standin"] else ""
        cells = "cells as they are named" if fields["cells"] is None else f"{fields['cells']} cells"
        return f"{fields['model']}: {cells} on {fields['device']}{standin}"
    if event == "model_loaded":
        return f"{fields['model']}: loaded in {fields['seconds']:.1f} s"
    if event in ("model_failed", "device_lost"):
        return f"{fields['model']}: {fields['error']}"
    if event == "end":
        counts = ", ".join(f"{fields[name]} {name}" for name in ("succeeded", "failed", "kept"))
        return f"{fields['model']}: {counts}; log {fields['log']}"
    return ""


def _cell_line(cell: dict[str, Any]) -> str:
    name = f"  {cell['benchmark']:<26}"
    if cell["status"] != "succeeded":
        return f"{name} FAILED  {cell['error']}"
    kept = "kept" if cell["kept"] else f"{cell['seconds']:.1f} s"
    return f"{name} {cell['score']:6.2f}  {cell['metric']}  {cell['predictions']}/{cell['samples']}  {kept}"
