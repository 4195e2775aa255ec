"""A self-contained HTML file: template, style, script, and a closed policy.

The Content-Security-Policy lets it load nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vldock.common.filesystem.atomic import write_bytes


def environment(*, autoescape: bool) -> Environment:
    """Return the jinja2 environment of the templates; a missing value is an error."""
    return Environment(
        loader=PackageLoader("vldock.host.reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,
    )


def render(template: str, **values: Any) -> str:
    """Return a page; every value is escaped.

    Only our own script runs: the policy has its digest.
    """
    style, script = _ours("report.css"), _ours("report.js")
    return (
        environment(autoescape=True)
        .get_template(template)
        .render(style=style, script=script, policy=policy(style, script), **values)
    )


def policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy of a page.

    Nothing comes from outside: images are data: URIs, one style and one script run.
    """
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def as_json(value: Any) -> Markup:
    """Return JSON in a form safe inside a script element.

    It cannot end the element, nor begin a comment or an entity.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def write(path: Path, text: str) -> Path:
    """Write a page atomically."""
    return write_bytes(path, text.encode(errors="replace"))  # a lone surrogate in a prediction is no reason to fail


def _ours(name: str) -> Markup:
    return Markup((files("vldock.host.reports") / "templates" / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
