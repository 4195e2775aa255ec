"""`vldock fetch` as the tests type it, and the benchmarks it fetches."""

from __future__ import annotations

from pathlib import Path

from support.tiny_weights import table
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke

TABLES = {"POPE": table("POPE", 250_000), "MMStar": table("MMStar")}


def fetch(locks: Path, *words: str) -> int:
    """Run the command with one try a request; return its exit code."""
    return invoke(cli.cli, ["fetch", *words, "--locks", str(locks), "--retries", "1"])
