"""Import contracts of pyproject.toml, each failing on a deliberate breach, and two more rules."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

SOURCE = ROOT / "src" / "vldock"
BREACHES = {
    "the path tells where a line runs": ("host/util/process.py", "from vldock.image import events"),
    "layers of the host": ("host/runs/plan.py", "from vldock.host.reports import samples"),
    "layers of the image": ("image/process/stats.py", "from vldock.image.engines import batched"),
    "layers of the hooks in VLMEvalKit": (
        "image/vlmeval_hooks/process/redact.py",
        "from vldock.image.vlmeval_hooks.run import judge",
    ),
    "no circle among the packages and modules of one folder": (
        "host/reports/statistics.py",
        "from vldock.host.reports import html",
    ),
    "no torch on the host": ("common/matrix.py", "import torch"),
    "no docker in the container": ("image/offline/mode.py", "import docker"),
    "click in host/cli only": ("host/matrix/runner.py", "import click"),
}


def lint(folder: Path) -> str:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=folder, env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    return done.stdout + done.stderr


def imports(path: Path) -> Iterator[str]:
    """Yield the full dotted name of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


def by_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_each_contract_has_its_breach() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert [contract["name"] for contract in contracts] == list(BREACHES)


@pytest.mark.parametrize("contract", BREACHES)
def test_a_contract_fails_on_a_breach(contract: str, tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "vldock", ignore=shutil.ignore_patterns("assets", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file, line = BREACHES[contract]
    path = tmp_path / "src" / "vldock" / file
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")

    said = lint(tmp_path)

    assert f"{contract} BROKEN" in said, said


@pytest.mark.parametrize("path", sorted((SOURCE / "common").rglob("*.py")), ids=by_path)
def test_common_imports_the_standard_library_only(path: Path) -> None:
    foreign = {name.partition(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"vldock"}

    assert foreign == set()


def test_scripts_import_host_and_common_only() -> None:
    allowed = ("vldock.host", "vldock.common")

    named = [(by_path(path), name) for path in (ROOT / "scripts").glob("*.py") for name in imports(path)]

    standard = sys.stdlib_module_names
    assert [pair for pair in named if pair[1].split(".")[0] not in standard and not pair[1].startswith(allowed)] == []
