"""Custom tables through run.py: refused by row before a model is loaded, or read correctly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.benchmark_tables import Row, picture, pixel, row, write

import vldock

RUN = ["python", "/workspace/VLMEvalKit/run.py"]
MODEL = "llava_v1.5_7b"
WEIGHTS = Path(vldock.__file__).parent / "image/standin/assets/huggingface"
LOADING = "Loading checkpoint shards"
ALL_MODES = {"CMYK": "JPEG", "LAB": "TIFF", "F": "TIFF", "I;16": "PNG"}


@dataclass
class TableWorkspace:
    """Stand-in weights, custom tables and outputs; every run shares these folders."""

    root: Path
    run_in_image: Callable[..., Any]

    def table(self, name: str, *rows: Row) -> Path:
        """Write a table below $LMUData."""
        return write(self.root / "lmu" / f"{name}.tsv", rows)

    def run(self, *argv: str, expect: int = 0) -> str:
        """Run run.py and return its output."""
        mounts = {self.root / name: f"/workspace/{place}" for name, place in
                  (("cache", ".cache"), ("lmu", "LMUData"), ("out", "outputs"))}  # fmt: skip
        done = self.run_in_image([*RUN, *argv], mounts=mounts, environment={"HF_HUB_OFFLINE": "1"})
        assert done.exit_code == expect, done.text
        assert "Traceback" not in done.text
        return str(done.text)

    def evaluate(self, *names: str, expect: int = 0, more: Sequence[str] = ()) -> str:
        """Evaluate tables by name."""
        return self.run("--data", *names, "--model", MODEL, *more, expect=expect)

    def file(self, name: str, what: str) -> Any:
        """Return a JSON file of a cell."""
        return json.loads((self.root / "out" / MODEL / f"{MODEL}_{name}_{what}.json").read_text())

    def prompts(self, name: str) -> dict[str, Any]:
        """Return the prompt notes of a cell by sample index."""
        path = self.root / "out" / MODEL / f"{MODEL}_{name}_prompts.jsonl"
        return {note["index"]: note for note in map(json.loads, path.read_text().splitlines())}


@pytest.fixture
def workspace(tmp_path: Path, run_in_image: Callable[..., Any]) -> TableWorkspace:
    for name in ("cache", "lmu", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    shutil.copytree(WEIGHTS, tmp_path / "cache" / "huggingface", symlinks=True)
    return TableWorkspace(tmp_path, run_in_image)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param([row("n1"), row("n1", image=picture("blue"))], "line 3, index n1", id="index twice"),
        pytest.param([row("01"), row("1")], "'1' is read as '01' of line 2", id="one number"),
        pytest.param([row(1, image_path="../../../x.png")], "path that leaves the pictures' folder", id="path outside"),
        pytest.param([row(1), row(2, image="9")], "line 3, index 2", id="reference to nothing"),
    ],
)
def test_a_flawed_table_is_refused_by_row_before_the_model_is_loaded(
    workspace: TableWorkspace, rows: list[Row], says: str
) -> None:
    workspace.table("Flawed", *rows)

    said = workspace.evaluate("Flawed", expect=4)

    assert says in said
    assert LOADING not in said
    assert not list(workspace.root.rglob("x.png"))


def test_a_flawed_table_is_refused_through_a_config_too(workspace: TableWorkspace) -> None:
    workspace.table("Dup", row("n1"), row("n1"))
    config = {"model": {MODEL: {}}, "data": {"Dup": {"class": "CustomMCQDataset", "dataset": "Dup"}}}
    (workspace.root / "lmu" / "config.json").write_text(json.dumps(config))

    said = workspace.run("--config", "/workspace/LMUData/config.json", expect=4)

    assert "line 3, index n1" in said
    assert LOADING not in said


def test_a_table_edited_under_its_name_is_looked_at_anew(workspace: TableWorkspace) -> None:
    workspace.table("Edit", row(1))
    workspace.evaluate("Edit")
    before = workspace.file("Edit", "passport")
    workspace.table("Edit", row(1, image=picture("blue"), A="navy"))

    said = workspace.evaluate("Edit")

    after = workspace.file("Edit", "passport")
    assert "SET ASIDE" in said
    assert before["data"]["file"] == after["data"]["file"] == "Edit.tsv"
    assert before["data"]["sha256"] != after["data"]["sha256"]
    assert before["prompts"]["samples"] != after["prompts"]["samples"]
    dumped = [Image.open(path).getpixel((0, 0)) for path in sorted(workspace.root.rglob("images/Edit-*/1.png"))]
    assert sorted(dumped) == [(0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize("engine", ["stock", "batched"])
def test_pictures_of_any_mode_short_or_with_a_uri_are_asked(workspace: TableWorkspace, engine: str) -> None:
    modes = [row(number, image=picture(mode=mode, form=form)) for number, (mode, form) in enumerate(ALL_MODES.items())]
    workspace.table(
        "Modes",
        *modes,
        row(10, image=pixel()),
        row(11, image=f"data:image/png;base64,{picture()}"),
        row(12, image="11"),
    )

    said = workspace.evaluate("Modes", more=("--engine", engine))

    assert f"SCORE {MODEL} x Modes" in said
    assert workspace.prompts("Modes").keys() == {"0", "1", "2", "3", "10", "11", "12"}


@pytest.mark.parametrize("engine", ["stock", "batched"])
def test_a_picture_that_cannot_be_decoded_costs_its_sample_only(workspace: TableWorkspace, engine: str) -> None:
    workspace.table("Lost", row(1), row(2, image=picture()[:100]), row(3))

    said = workspace.evaluate("Lost", more=("--engine", engine), expect=1)

    assert f"FAILED {MODEL} x Lost: 1 of 3 predictions failed: sample 2:" in said
    assert workspace.prompts("Lost").keys() == {"1", "3"}
    assert workspace.file("Lost", "passport")["findings"] == {"picture-lost": 1}


@pytest.mark.parametrize("engine", ["stock", "batched"])
def test_a_marker_in_a_question_is_asked_as_text(workspace: TableWorkspace, engine: str) -> None:
    plain = "What does the HTML tag [image] do?"
    workspace.table(
        "Marker", row(1, question=plain), row(2, question=plain.replace("[image]", "<image>")), row(3, A="<image>")
    )

    said = workspace.evaluate("Marker", more=("--engine", engine))

    notes = workspace.prompts("Marker")
    assert f"SCORE {MODEL} x Marker" in said
    assert len(notes) == 3
    assert notes["2"]["length"] > 576  # one picture's places
    assert notes["2"]["length"] < 2 * 576
    assert workspace.file("Marker", "passport")["findings"] == {"marker": 2}


def test_answers_not_offered_are_scored_and_told(workspace: TableWorkspace) -> None:
    workspace.table("NotOffered", row(1, answer="C"), row(2))

    said = workspace.evaluate("NotOffered")

    assert "TABLE NotOffered: line 2, index 1: answer that is not among the options: 'C'" in said
    assert "(2 samples" in said
    assert workspace.file("NotOffered", "passport")["findings"] == {"not-offered": 1}


def test_a_table_without_index_and_one_of_files_are_evaluated(workspace: TableWorkspace) -> None:
    unnumbered = {name: value for name, value in row(1).items() if name != "index"}
    files = {name: value for name, value in row(1).items() if name != "image"}
    workspace.table("NoIndex", unnumbered, unnumbered)
    workspace.table("Files", {**files, "image_path": "pictures/a.png"})
    (workspace.root / "lmu" / "pictures").mkdir()
    Image.new("RGB", (8, 8), "red").save(workspace.root / "lmu" / "pictures" / "a.png")

    said = workspace.evaluate("NoIndex", "Files")

    assert "rows are numbered from 1" in said
    assert f"SCORE {MODEL} x NoIndex" in said
    assert f"SCORE {MODEL} x Files" in said
