"""A hub with a model, its tower and two benchmarks, and their locks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.download_helpers import TABLES
from support.fake_hub import COMMIT, FakeHub, running
from support.tiny_weights import CLIP, LLAVA, model, tower, write_locks

from vldock.common.image_paths import TOKEN_VARIABLES


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with running() as hub:
        yield hub


@pytest.fixture
def hub(server: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    server.repos = {LLAVA: model(), CLIP: tower()}
    server.files = {f"/tsv/{name}.tsv": content for name, content in TABLES.items()}
    server.gated, server.faults, server.requests, server.sums_in_listing = set(), {}, [], True
    for name in (*TOKEN_VARIABLES, "HF_ENDPOINT", "LMUData"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return server


@pytest.fixture
def locks(hub: FakeHub, tmp_path: Path) -> Path:
    return write_locks(tmp_path / "locks", endpoint=hub.url, tables=TABLES, revision=COMMIT)
