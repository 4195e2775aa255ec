"""report.html: self-contained, only its own script runs, every cell is shown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.builders import a_cell, a_plan
from support.run_folders import BENCHMARKS, CAUSE, FAILED, HOSTILE, MODELS, NOT_RUN, a_run

from vldock.common.errors import InputRefused
from vldock.host.reports import html as html_report
from vldock.host.reports import html_page, run_artifacts, sample_selection
from vldock.host.reports import write as report_write
from vldock.host.reports.samples import Sample, Samples
from vldock.host.reports.score_intervals import Evidence
from vldock.host.reports.write import ReportFiles
from vldock.host.runs.folder import RunFolder

BUDGET = 15_000_000


class Seen(HTMLParser):
    """A page as a browser parses it: elements with attributes, texts by element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.append("")

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def script(self, name: str) -> str:
        """Return the text of a data script."""
        number = [attributes.get("id") for attributes in self.all("script")].index(name)
        return [text for tag, text in self.texts if tag == "script"][number]


@pytest.fixture(scope="module")
def text(forty_cells: ReportFiles) -> str:
    return forty_cells.folder.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(text: str) -> Seen:
    return Seen(text)


def test_all_forty_cells_are_there_also_the_failed_one_and_the_one_not_run(seen: Seen) -> None:
    cells = [attributes for attributes in seen.all("td") if "data-cell" in attributes]

    assert [item["data-cell"] for item in cells] == [f"{model} {name}" for name in BENCHMARKS for model in MODELS]
    looks = {str(item["data-cell"]): str(item["class"]).split()[1] for item in cells}
    assert (looks[" ".join(FAILED)], looks[" ".join(NOT_RUN)]) == ("failed", "missing")


def test_nothing_is_asked_of_any_server(seen: Seen) -> None:
    addresses = [
        str(attributes[name])
        for _, attributes in seen.elements
        for name in ("src", "href", "srcset", "action", "data", "poster")
        if name in attributes
    ]

    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in seen.elements}
    assert "http://" not in html_page.render("page.html.j2", title="t")
    assert "url(" not in html_page.render("page.html.j2", title="t")


def test_the_only_script_that_may_run_is_ours(seen: Seen) -> None:
    policy = next(item["content"] for item in seen.all("meta") if item.get("http-equiv")) or ""
    ours = [text for tag, text in seen.texts if tag == "script"][-1]

    digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert [item.get("type") for item in seen.all("script")] == ["application/json", "application/json", None]


def test_a_hostile_prediction_is_text(text: str, seen: Seen) -> None:
    samples = json.loads(seen.script("samples-data"))

    assert HOSTILE in [item["prediction"] for item in samples]
    assert "<script>alert" not in text
    assert not [attributes for _, attributes in seen.elements if "onerror" in attributes]
    assert ("code", HOSTILE) in seen.texts  # a fact of run.json


def test_a_failure_comes_with_its_last_log_lines(seen: Seen) -> None:
    logs = [text for tag, text in seen.texts if tag == "pre"]

    assert f"20%\n{CAUSE}" in logs
    assert ("p", CAUSE) in seen.texts


def test_samples_have_their_pictures_and_a_verdict(seen: Seen) -> None:
    samples = json.loads(seen.script("samples-data"))
    pictures = json.loads(seen.script("pictures-data"))

    blink = [item for item in samples if (item["model"], item["benchmark"]) == (MODELS[0], "BLINK")]
    assert [len(item["pictures"]) for item in blink] == [2] * 10
    assert {item["verdict"] for item in blink} == {"right", "wrong"}
    assert all(pictures[key].startswith("data:image/jpeg;base64,") for item in samples for key in item["pictures"])
    assert sum(not item["pictures"] for item in samples) == 0


def test_the_stand_in_banner_is_the_first_thing_on_the_page(text: str, tmp_path: Path) -> None:
    main = text.partition('<main id="main">')[2]
    real = report_write.rewrite_reports(a_run(tmp_path / "run", standin=False)).folder.page.read_text(encoding="utf-8")

    assert main.lstrip().startswith('<div class="banner" role="note"><strong>STAND-IN</strong>')
    assert "STAND-IN" not in real


def test_a_real_run_has_the_difference_where_the_protocol_is_comparable(tmp_path: Path) -> None:
    made = report_write.rewrite_reports(a_run(tmp_path / "run", standin=False))

    rows = [row for row in html_report.reference_rows(made.cells, made.gathered) if row["delta"]]

    assert {row["figure"].benchmark for row in rows} == {"MMBench_DEV_EN", "SEEDBench_IMG", "ScienceQA_VAL"}
    assert {row["caveat"] for row in rows} == {"ours is of the first 10 samples only"}
    assert "| SEEDBench_IMG | llava_v1.5_7b | 70.0 | 65.59 | +4.4 (ours" in made.folder.report.read_text()


def test_equal_input_gives_equal_bytes_within_the_budget(forty_cells: ReportFiles, text: str) -> None:
    again = report_write.rewrite_reports(forty_cells.folder)

    assert again.folder.page.read_text(encoding="utf-8") == text
    assert len(text.encode()) < 1_500_000


def test_however_long_the_predictions_the_page_keeps_its_budget() -> None:
    row = Sample("0", "q" * 9000, (), "<" * 9000, "a", 1.0)
    cells = [a_cell(model, name) for model in MODELS for name in BENCHMARKS]
    rows = tuple(replace(row, index=str(number)) for number in range(60))
    gathered = {(cell.model, cell.benchmark): Evidence(Samples(rows), None, "") for cell in cells}

    found = sample_selection.choose(a_plan(standin=False), cells, gathered, per_cell=60)

    size = len(html_page.as_json(list(found.samples)).encode())
    shown = [
        sum(item["model"] == cell.model and item["benchmark"] == cell.benchmark for item in found.samples)
        for cell in cells
    ]
    assert size < sample_selection.TEXT_BUDGET + 100_000
    assert sample_selection.TEXT_BUDGET + sample_selection.PICTURE_BUDGET < BUDGET - 1_500_000
    assert found.left_out == 60 * len(cells) - sum(shown)
    assert max(shown) - min(shown) <= 1


@pytest.mark.parametrize(("most", "wrong"), [(4, 2), (8, 6), (20, 10)])
def test_half_of_what_is_shown_is_wrong_where_there_is_so_much(most: int, wrong: int) -> None:
    rows = [Sample(str(number), "", (), "", "", float(number < 2)) for number in range(12)]

    shown = sample_selection.pick_rows(rows, most)

    assert len(shown) == min(most, 12)
    assert sum(row.right is False for row in shown) == max(wrong, min(most, 12) - 2)
    assert list(shown) == sorted(shown, key=lambda row: int(row.index))


def test_without_a_passport_the_page_says_so_and_with_one_it_is_shown(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", wrong_every=0)
    assert "no passport" in report_write.rewrite_reports(folder).folder.page.read_text(encoding="utf-8")

    (folder.path / "passport.json").write_text(json.dumps({"image": {"digest": "<b>sha256:1</b>"}, "layers": [1, 2]}))
    (folder.cell(MODELS[0], "POPE") / "passport.json").write_text("{torn")
    seen = Seen(report_write.rewrite_reports(folder).folder.page.read_text(encoding="utf-8"))

    assert ("code", "<b>sha256:1</b>") in seen.texts
    assert ("th", "image.digest") in seen.texts
    assert any("passport.json cannot be read" in text for _, text in seen.texts)


def test_last_lines_are_the_cells_own_and_a_progress_bar_is_its_last_state(tmp_path: Path) -> None:
    log = tmp_path / "model.log"
    log.write_text("===== m x POPE, attempt 1 =====\nearlier\n===== m x BLINK, attempt 1 =====\n 1%\r 99%\nwhy\n")

    assert run_artifacts.last_lines(log, benchmark="BLINK") == ["99%", "why"]
    assert run_artifacts.last_lines(log, benchmark="POPE") == ["earlier"]
    assert run_artifacts.last_lines(log, benchmark="MMStar") == ["earlier", "99%", "why"]
    assert run_artifacts.last_lines(tmp_path / "none.log", benchmark="POPE") == []


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="is no folder of a run"):
        report_write.rewrite_reports(RunFolder(tmp_path))


def test_the_script_never_writes_markup() -> None:
    ours = html_page._ours("report.js")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", ours)
