"""Fields of a registry's answers; a missing or odd one raises RegistryFailed.

The error quotes the field.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import requests

from vldock.host.errors import RegistryFailed
from vldock.host.util.redaction import bare_url

LONGEST = 300  # most characters of a registry's message in a line
READ = 1 << 16  # bytes of an error page to read
NO_TEXT = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"[0-9]{1,18}")
DISTRIBUTION = "a registry of the OCI distribution API, v2"
SILENT = "no reason given"


def reason_text(response: requests.Response) -> str:
    """Return a registry's (or proxy's) error message, in one line."""
    try:
        content = next(response.iter_content(READ), b"")
    except (requests.RequestException, OSError):
        return SILENT
    text = content.decode("utf-8", "replace")
    raw = parse_json(text)
    errors = raw.get("errors") if isinstance(raw, dict) else None
    if isinstance(errors, list):
        items = [item for item in errors if isinstance(item, dict)]
        text = "; ".join(
            " ".join(str(item[key]) for key in ("code", "message", "detail") if item.get(key)) for item in items
        )
    elif "<" in text:
        text = html.unescape(NO_TEXT.sub(" ", text))
    return in_one_line(text) or SILENT


def in_one_line(text: str) -> str:
    """Return a text without line ends and control characters, at most LONGEST long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "..."


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def status_text(response: requests.Response) -> str:
    """Return status, reason and the answer's message: '404 Not Found: ...'."""
    return f"{_code(response)}: {reason_text(response)}"


def _code(response: requests.Response) -> str:
    return in_one_line(f"{response.status_code} {response.reason or ''}")


def integer_header(response: requests.Response, header: str) -> int | None:
    """Return a header's whole number, or None; raises RegistryFailed for anything else."""
    text = response.headers.get(header)
    if text is None:
        return None
    if not NUMBER.fullmatch(text.strip()):
        raise unexpected(response, f"{header}: {in_one_line(text)}", expected=f"{header}: a number")
    return int(text)


def location_header(response: requests.Response) -> str:
    """Return the Location header; raises RegistryFailed where there is none."""
    found = str(response.headers.get("Location") or "").strip()
    if not found:
        raise unexpected(response, "no Location header", expected="the address the next request goes to")
    return found


def stored_bytes(response: requests.Response) -> int | None:
    """Return the bytes stored by an upload, from its Range header, or None.

    '0-0' is none at all.
    """
    text = response.headers.get("Range")
    if text is None:
        return None
    found = re.fullmatch(r"(?:bytes[= ])?0-([0-9]{1,18})", text.strip())
    if not found:
        raise unexpected(response, f"Range: {in_one_line(text)}", expected="Range: 0-LAST")
    return int(found[1]) + 1 if int(found[1]) else 0


def unexpected(response: requests.Response, what: str, *, expected: str) -> RegistryFailed:
    """Return the error for an answer outside the API."""
    asked = f"{response.request.method} {in_one_line(bare_url(str(response.url)))}"
    return RegistryFailed(
        f"{asked}: answered {_code(response)} with {what}",
        expected=f"{expected} ({DISTRIBUTION})",
    )
