"""What is generated from a declaration: the Dockerfile's ENV block. `--check` fails on a difference and writes nothing.

Run as `python -m vldock.host.generate [--check]`; `make generate` and `make check` call it.
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

from vldock.common.cache_env import render_dockerfile_env
from vldock.common.errors import InputRefused

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "docker" / "transformers-4.37" / "Dockerfile"
OPEN = "# generated from src/vldock/common/cache_env.py by `make generate`"
CLOSE = "# end generated"


def with_block(text: str, block: str) -> str:
    """Return `text` with the lines between the two marks replaced by `block`.

    Raises InputRefused when the marks are not there exactly once.
    """
    pattern = re.compile(rf"({re.escape(OPEN)}\n).*?({re.escape(CLOSE)}\n)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise InputRefused(
            "the Dockerfile's generated marks are missing or doubled", expected=f"{OPEN!r} ... {CLOSE!r}, once"
        )
    return pattern.sub(lambda found: f"{found[1]}{block}\n{found[2]}", text)


def main(argv: list[str]) -> int:
    old = DOCKERFILE.read_text(encoding="utf-8")
    new = with_block(old, render_dockerfile_env())
    if old == new:
        return 0
    if "--check" in argv:
        lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), "Dockerfile", "generated")
        sys.stdout.writelines(lines)
        print("error: the Dockerfile's ENV is not what common/cache_env.py declares", file=sys.stderr)
        print("hint: make generate", file=sys.stderr)
        return 4
    aside = DOCKERFILE.with_suffix(".tmp")
    aside.write_text(new, encoding="utf-8")
    aside.replace(DOCKERFILE)
    print(f"written: {DOCKERFILE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
