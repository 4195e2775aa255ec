"""Options of the unit tests."""

from __future__ import annotations

import os

import pytest
from support.run_folders import a_run

from vldock.host.reports import write as report_write
from vldock.host.reports.write import ReportFiles


@pytest.fixture
def update_golden() -> bool:
    """Whether golden files are to be rewritten: UPDATE_GOLDEN=1 pytest tests/unit."""
    return os.environ.get("UPDATE_GOLDEN") == "1"


@pytest.fixture(scope="session")
def forty_cells(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """Reports of a run of 40 cells (support.run_folders), read-only to tests."""
    return report_write.rewrite_reports(a_run(tmp_path_factory.mktemp("outputs") / "20260102-030405"))
