"""Cached counts for VLMEvalKit's summary: valid until a file changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vldock.image.vlmeval_hooks.run import report_counts
from vldock.image.vlmeval_hooks.run.report_counts import Counts

PREDICTIONS = "m_POPE.xlsx"


class Dataset:
    """A benchmark that counts words, and its calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def report_infer_err(self, prediction_file: Path) -> dict[str, int]:
        self.asked.append("infer")
        return {"failed": 0, "total": len(prediction_file.read_text().split())}

    def report_judge_err(self, prediction_file: Path, *, judge_model: str, total_samples: int) -> dict[str, int | None]:
        self.asked.append(f"judge {judge_model}")
        return {"failed": None, "total": total_samples}

    def report_primary_metric(self, metrics: Any) -> Any:
        return {"Overall": metrics}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with the predictions and verdicts of one benchmark."""
    (tmp_path / PREDICTIONS).write_text("a b c")
    (tmp_path / "m_POPE_result.xlsx").write_text("x")
    return tmp_path


def summary(folder: Path, dataset: Dataset, *, judge: str = "exact") -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Count as collect_run_benchmark_report() does, in a new process."""
    reporter = Counts(folder).reporter(dataset, "m", "POPE")
    path = folder / PREDICTIONS
    infer = reporter.report_infer_err(path)
    verdicts = reporter.report_judge_err(path, judge_model=judge, total_samples=infer["total"])
    return infer, verdicts, reporter.report_primary_metric(0.5)


def test_what_did_not_change_is_counted_once(folder: Path) -> None:
    dataset = Dataset()

    first, again = summary(folder, dataset), summary(folder, dataset)

    assert first == again == ({"failed": 0, "total": 3}, {"failed": None, "total": 3}, {"Overall": 0.5})
    assert dataset.asked == ["infer", "judge exact"]


@pytest.mark.parametrize("name", [PREDICTIONS, "m_POPE_result.xlsx", "m_POPE_new.json"])
def test_a_file_that_changed_or_came_is_counted_again(folder: Path, name: str) -> None:
    dataset = Dataset()
    summary(folder, dataset)
    (folder / name).write_text("a b c d e")

    infer, _, _ = summary(folder, dataset)

    assert infer["total"] == (5 if name == PREDICTIONS else 3)
    assert dataset.asked == ["infer", "judge exact"] * 2


def test_another_judge_is_asked_for_its_own_verdicts(folder: Path) -> None:
    dataset = Dataset()
    summary(folder, dataset)

    summary(folder, dataset, judge="gpt")

    assert dataset.asked == ["infer", "judge exact", "judge gpt"]


def test_another_benchmark_s_files_change_nothing(folder: Path) -> None:
    dataset = Dataset()
    summary(folder, dataset)
    (folder / "m_MMStar.xlsx").write_text("a")

    summary(folder, dataset)

    assert dataset.asked == ["infer", "judge exact"]


def test_old_counts_make_room_for_new_ones(folder: Path) -> None:
    for text in ("a", "a b", "a b c d"):
        (folder / PREDICTIONS).write_text(text)
        summary(folder, Dataset())

    kept = json.loads((folder / report_counts.FILE).read_text())
    assert [len(entry) for entry in kept.values()] == [2]


@pytest.mark.parametrize("text", ["{", "[]", '{"POPE": 3}', '{"POPE": {"infer": 7}}'])
def test_a_file_that_holds_no_counts_is_counted_over(folder: Path, text: str) -> None:
    (folder / report_counts.FILE).write_text(text)

    assert summary(folder, Dataset())[0] == {"failed": 0, "total": 3}


def test_a_folder_that_cannot_be_written_costs_time_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(report_counts, "write_json", refuse)

    assert summary(folder, Dataset())[0] == {"failed": 0, "total": 3}
