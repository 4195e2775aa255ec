"""Table of benchmarks/speed: sums, missed bars, and reported losses."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.paths import ROOT

SPEED = ROOT / "benchmarks" / "speed"
FACTS = {
    "begun": "2026-01-01T00:00:00+00:00",
    "minutes": 3.0,
    "cores": 2,
    "processor": "a processor",
    "memory_gb": 16.0,
    "load_before": [0.1, 0.1, 0.1],
    "load_after": [2.0, 1.0, 0.5],
    "engine": "20.10",
    "torch": "2.1.2",
    "transformers": "4.37.2",
    "models": ["llava_v1.5_7b"],
    "benchmarks": ["POPE"],
    "samples": 10,
}


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function that imports a module of benchmarks/speed."""
    monkeypatch.syspath_prepend(SPEED)

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    return imported


def mode(name: str, seconds: float, *, ready: float = 0.0) -> dict[str, Any]:
    return {
        **{"mode": name, "seconds": seconds, "ready": ready, "cells": [seconds], "firsts": [0.5], "answers": 10},
        **{"phases": {"load": 1.0}, "phases_cpu": {"load": 1.5}, "cpu_seconds": 3.0, "memory_peak": 2e9},
    }


def page(speed: Any, folder: Path, *modes: dict[str, Any]) -> str:
    (folder / "results.json").write_text(json.dumps({"facts": FACTS, "modes": modes}), encoding="utf-8")
    return str(speed("table").text(folder))


@pytest.mark.parametrize(("seconds", "told"), [(10.0, "12: reached"), (20.0, "12: MISSED")])
def test_a_bar_is_told_as_reached_or_missed(seconds: float, told: str, speed: Any, tmp_path: Path) -> None:
    assert told in page(speed, tmp_path, mode("a", 120.0), mode("d2", seconds))


def test_getting_ready_is_told_apart_and_included(speed: Any, tmp_path: Path) -> None:
    text = page(speed, tmp_path, mode("b", 90.0), mode("d", 10.0, ready=20.0))

    assert "| 9.00 | 3.00 | 8: reached |" in text


def test_a_mode_that_is_slower_than_what_it_is_compared_with_is_told_too(speed: Any, tmp_path: Path) -> None:
    assert "| 0.50 | 0.50 |" in page(speed, tmp_path, mode("c", 10.0), mode("e1", 20.0))


def test_what_was_not_measured_on_a_gpu_is_said(speed: Any, tmp_path: Path) -> None:
    assert "not measured on a GPU" in page(speed, tmp_path, mode("a", 1.0))


def test_waiting_for_a_session_is_not_counted_beside_what_the_session_does(speed: Any, tmp_path: Path) -> None:
    spent = {"seconds": 2.0, "cpu": 1.0, "count": 1}
    usual = {"argv": ["run.py"], "wall": 9.0, "beside": {}, "answers": 1, "first_answer": 1.0, "container": {}}
    lines = [{**usual, "phases": {"waiting": spent}}, {**usual, "phases": {"prefill": spent}}]
    file = tmp_path / "phases.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")

    assert speed("lines").sum_phases(speed("lines").read(file)) == {"prefill": 2.0}
