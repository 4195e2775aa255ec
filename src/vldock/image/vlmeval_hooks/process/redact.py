"""Redaction of keys in logs and status.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
OPTIONS = ("--key", "--judge-key")
IN_JSON = re.compile(r'("(?:api_)?key"\s*:\s*)"[^"]*"')


def argv(words: Sequence[str]) -> list[str]:
    """Return a command line with its keys hidden."""
    shown: list[str] = []
    for word in words:
        option, equals, _ = word.partition("=")
        if shown and shown[-1] in OPTIONS:
            shown.append(HIDDEN)
        elif equals and option in OPTIONS:
            shown.append(f"{option}={HIDDEN}")
        else:
            shown.append(IN_JSON.sub(rf'\1"{HIDDEN}"', word))
    return shown


def options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judge's options with its key hidden."""
    return {name: HIDDEN if name in ("key", "api_key") else value for name, value in values.items()}
