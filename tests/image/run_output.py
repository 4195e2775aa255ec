"""Output of a run.py: lines it printed, predictions it wrote."""

from __future__ import annotations

from subprocess import CompletedProcess

import pandas as pd
from tiny_model import MODEL, Bench


def lines(done: CompletedProcess[str], start: str) -> list[str]:
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(start)]


def predictions(bench: Bench, benchmark: str) -> list[str]:
    return list(pd.read_excel(bench.out / f"{MODEL}_{benchmark}.xlsx")["prediction"].astype(str))
