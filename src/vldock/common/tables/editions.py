"""Editions of a benchmark's file: those declared, and the one to accept.

    VLDOCK_EDITION=BLINK=corrected[,...]       an edition that locks/datasets.json declares, by its name
    VLDOCK_ACCEPT_MD5=NAME=<md5>[,...]         any other file, by its md5; it comes before an edition

Host commands and the container read both alike. Without them the first edition counts: VLMEvalKit's own file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError

ACCEPT = "VLDOCK_ACCEPT_MD5"
CHOICE = "VLDOCK_EDITION"


@dataclass(frozen=True)
class Edition:
    """One file of a benchmark: name, md5, address (null: not known), note."""

    name: str
    md5: str
    url: str | None = None
    note: str | None = None


Editions = Mapping[str, tuple[Edition, ...]]


def read_editions(lock: Path) -> dict[str, tuple[Edition, ...]]:
    """Return {benchmark: editions, the default first} of datasets.json.

    Empty where there is no such file.
    """
    rows = json.loads(lock.read_text(encoding="utf-8"))["benchmarks"] if lock.is_file() else []
    return {row["name"]: editions_of(row) for row in rows}


def editions_of(row: dict[str, Any]) -> tuple[Edition, ...]:
    """Return the editions of a row of datasets.json, its own file first.

    Empty where the row names none.
    """
    if not row.get("edition"):
        return ()
    own = Edition(row["edition"], row["md5"], row["url"], row.get("note"))
    return (own, *(Edition(**item) for item in row.get("editions", ())))


def accepted_md5s(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return {benchmark: md5} of VLDOCK_ACCEPT_MD5; raises UsageError where malformed."""
    pairs = _pairs(ACCEPT, env, value="[0-9a-fA-F]{32}", expected="NAME=<md5> of 32 hexadecimal digits")
    return {name: md5.lower() for name, md5 in pairs.items()}


def chosen_editions(editions: Editions, env: Mapping[str, str] | None = None) -> dict[str, Edition]:
    """Return {benchmark: edition} of VLDOCK_EDITION; raises UsageError for an undeclared one."""
    found = {}
    for benchmark, name in _pairs(CHOICE, env, value="[^=]+", expected="BENCHMARK=edition").items():
        known = {edition.name: edition for edition in editions.get(benchmark, ())}
        if name not in known:
            every = ", ".join(f"{one}={edition.name}" for one, all_of in editions.items() for edition in all_of)
            raise UsageError(
                f"{CHOICE}: {benchmark} has no edition {name!r}",
                expected=every or "an edition that locks/datasets.json declares: it declares none",
                hint=f"another file is accepted by its md5: {ACCEPT}={benchmark}=<md5>",
            )
        found[benchmark] = known[name]
    return found


def wanted_md5(
    benchmark: str, declared: str | None, editions: Editions, env: Mapping[str, str] | None = None
) -> str | None:
    """Return the md5 a benchmark's file must have.

    As accepted, else of the edition chosen, else `declared`.
    """
    if benchmark in (allowed := accepted_md5s(env)):
        return allowed[benchmark]
    edition = chosen_editions(editions, env).get(benchmark)
    return edition.md5 if edition else declared


def name_of(benchmark: str, md5: str | None, editions: Editions) -> str | None:
    """Return the name of the edition with this md5, or None."""
    return next((edition.name for edition in editions.get(benchmark, ()) if edition.md5 == md5), None)


def accept_setting(benchmark: str, md5: str, editions: Editions) -> str:
    """Return the setting to accept a file.

    It is the file's edition by name, else its md5.
    """
    name = name_of(benchmark, md5, editions)
    return f"{CHOICE}={benchmark}={name}" if name else f"{ACCEPT}={benchmark}={md5}"


def _pairs(variable: str, env: Mapping[str, str] | None, *, value: str, expected: str) -> dict[str, str]:
    pairs = {}
    for entry in (os.environ if env is None else env).get(variable, "").replace(" ", "").split(","):
        if not entry:
            continue
        if not (match := re.fullmatch(rf"([^=]+)=({value})", entry)):
            raise UsageError(f"{variable}: {entry!r} is not {expected}", expected=expected, hint="see md5sum FILE")
        pairs[match[1]] = match[2]
    return pairs
