"""The build digest names an image by its content, cheap enough for every run.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

from vldock.common.build_digest import read_build_digest

SRC = ROOT / "src"


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_equal_facts_have_one_digest_and_any_other_fact_another(tmp_path: Path) -> None:
    one, same, other = (
        read_build_digest(written(tmp_path / name, text))
        for name, text in (("a", '{"version": "1"}'), ("b", '{"version": "1"}'), ("c", '{"version": "2"}'))
    )

    assert one == same != other
    assert one is not None
    assert len(one) == 64


def test_outside_an_image_there_is_none(tmp_path: Path) -> None:
    assert read_build_digest(str(tmp_path / "none.json")) is None


def test_reading_it_imports_nothing_heavy(tmp_path: Path) -> None:
    facts = written(tmp_path / "build.json", "{}")
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]);"
        "from vldock.common.build_digest import read_build_digest; read_build_digest(sys.argv[2]);"
        "print(*sorted(set(sys.modules) - before))"
    )

    command = [sys.executable, "-S", "-c", code, str(SRC), facts]
    said = subprocess.run(command, capture_output=True, text=True, check=True)

    names = ["__future__", "_sha256", "vldock", "vldock.common", "vldock.common.build_digest"]
    assert said.stdout.split() == names
