"""VLDOCK_PHASES: every timed function exists, and a run records its seconds by phase."""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path

import pytest
from conftest import FreshPython

from vldock.image.timing import phases

RUN = """
import sys
from vldock.image.run_py import main
sys.exit(main(["--data", "POPE", "--model", "llava_v1.5_7b", "--work-dir", {folder!r}, "--limit", "2"]))
"""
ANSWERING = {"preprocess", "vision", "prefill", "decode", "loop"}


@pytest.mark.parametrize("name", [*phases.TIMED])
def test_every_function_that_is_timed_is_there(name: str) -> None:
    module = importlib.import_module(name)

    for path, _ in (*phases.TIMED[name], *phases.ANSWERING.get(name, ())):
        assert callable(functools.reduce(getattr, path.split("."), module)), path


def test_a_run_tells_where_its_seconds_went(fresh_python: FreshPython, tmp_path: Path) -> None:
    out = tmp_path / "phases.jsonl"
    environ = {"VLDOCK_PHASES": str(out), "VLDOCK_STANDIN": "1", "VLDOCK_WORKER": "0"}

    done = fresh_python(RUN.format(folder=str(tmp_path)), environ=environ)

    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    spent = line["phases"]
    assert {"start-up", "load", "data", "scoring"} | ANSWERING == set(spent)
    assert (line["answers"], spent["prefill"]["count"], spent["vision"]["count"]) == (2, 2, 2)
    assert sum(one["seconds"] for one in spent.values()) <= line["wall"]
