"""Atomic writes: beside the file, fsync, then rename over it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as JSON beside `path`, fsync, rename over it: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    with aside.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False, sort_keys=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
    return path


def write_text(path: Path, text: str) -> None:
    """Write without a newline at the end, as huggingface_hub does, by a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
