"""Text generated from a declaration: the Dockerfile's ENV block, reference scores, exit codes, models.

`--check` fails on a difference and writes nothing.

Run as `vldock generate [--check]`; `make generate` and `make check` call it.
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

from vldock.common.cache_env import render_dockerfile_env
from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_text
from vldock.host.build import exit_codes, model_table
from vldock.host.reports import reference_scores
from vldock.host.util import checkout

ROOT = checkout.root()
DOCKERFILE = ROOT / "docker" / "transformers-4.37" / "Dockerfile"
REFERENCE_SCORES = ROOT / "docs" / "trust" / "reference-scores.md"
EXIT_CODES = ROOT / "docs" / "use" / "exit-codes.md"
MODELS = ROOT / "docs" / "use" / "models.md"
OPEN = "# generated from src/vldock/common/cache_env.py by `make generate`"
CLOSE = "# end generated"


def with_block(text: str, block: str, *, opening: str = OPEN, closing: str = CLOSE) -> str:
    """Return `text` with the lines between the two marks replaced by `block`.

    Raises InputRefused when the marks are not there exactly once.
    """
    pattern = re.compile(rf"({re.escape(opening)}\n).*?({re.escape(closing)}\n)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise InputRefused(
            "the file's generated marks are missing or doubled", expected=f"{opening!r} ... {closing!r}, once"
        )
    return pattern.sub(lambda found: f"{found[1]}{block}\n{found[2]}", text)


def render_all() -> list[tuple[Path, str, str]]:
    """Return every generated file with its expected content and its declaration.

    Each is (file, expected content, where that content is declared).
    """
    dockerfile = with_block(DOCKERFILE.read_text(encoding="utf-8"), render_dockerfile_env())
    codes = EXIT_CODES.read_text(encoding="utf-8")
    codes = with_block(codes, exit_codes.markdown_table(), opening=exit_codes.OPEN, closing=exit_codes.CLOSE)
    models = MODELS.read_text(encoding="utf-8")
    models = with_block(models, model_table.markdown_table(), opening=model_table.OPEN, closing=model_table.CLOSE)
    return [
        (DOCKERFILE, dockerfile, "the ENV declared in common/cache_env.py"),
        (REFERENCE_SCORES, reference_scores.markdown(), "what host/reports/data/reference_scores.json declares"),
        (EXIT_CODES, codes, "what common/errors.py and host/errors.py declare"),
        (MODELS, models, "what common/matrix.py declares"),
    ]


def main(argv: list[str]) -> int:
    """Write outdated files, or with --check show them and return 4."""
    stale = [(path, new, source) for path, new, source in render_all() if _text(path) != new]
    for path, new, source in stale:
        if "--check" in argv:
            name = str(path.relative_to(ROOT))
            sys.stdout.writelines(
                difflib.unified_diff(_text(path).splitlines(True), new.splitlines(True), name, "generated")
            )
            print(f"error: {name} is not {source}", file=sys.stderr)
            continue
        write_text(path, new)
        print(f"written: {path.relative_to(ROOT)}")
    if stale and "--check" in argv:
        print("hint: make generate", file=sys.stderr)
        return 4
    return 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
