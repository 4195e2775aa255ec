"""Options, questions and predictions stay text, in tables read and prediction files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from nasty_texts import texts
from tiny_model import MODEL, Bench, picture, write_tsv

from vldock.common.tables import text_cells as cells
from vldock.image.vlmeval_hooks.files import text_changes

pytest_plugins = ["bench_fixture"]
ASK = {"image": picture(1), "question": "How many dogs?", "answer": "A"}


def test_the_words_are_those_pandas_takes_for_missing() -> None:
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(STR_NA_VALUES) == cells.MISSING | {""}


@pytest.mark.parametrize("suffix", ["xlsx", "tsv", "csv"])
def test_what_is_dumped_is_loaded_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    from vlmeval.smp import dump, load

    said = texts()
    frame = pd.DataFrame({"index": range(len(said)), "A": said, "answer": said, "prediction": said})

    dump(frame, str(tmp_path / f"t.{suffix}"))
    seen = load(str(tmp_path / f"t.{suffix}"))

    assert list(seen["prediction"]) == said
    assert [text for text in seen["A"] if isinstance(text, str)] == [text for text in said if text]
    assert list(seen["index"]) == list(range(len(said)))


def test_numbers_and_missing_cells_of_other_columns_are_read_as_pandas_does(tmp_path: Path) -> None:
    from vlmeval.smp import dump, load

    frame = pd.DataFrame({"index": ["1", "2"], "hit": [0, 1], "category": ["NA", "x"], "big": [10**17 + 1, 2]})

    dump(frame, str(tmp_path / "t.xlsx"))
    seen = load(str(tmp_path / "t.xlsx"))

    assert [list(seen["index"]), list(seen["hit"]), list(seen["big"])] == [[1, 2], [0, 1], [10**17 + 1, 2]]
    assert list(seen["category"].isna()) == [True, False]


@pytest.mark.parametrize("word", ["None", "NA", "N/A", "null", "nan"])
def test_an_option_that_looks_missing_is_shown(tmp_path: Path, word: str) -> None:
    from vlmeval.smp import load

    write_tsv(tmp_path / "T.tsv", [{"index": 1, **ASK, "A": word, "B": "Two", "C": ""}])

    row = load(str(tmp_path / "T.tsv")).iloc[0]

    assert (row["A"], pd.isna(row["C"]), row["index"]) == (word, True, 1)


def test_numbers_among_options_stay_as_written(tmp_path: Path) -> None:
    from vlmeval.smp import load

    rows = [{"index": i, **ASK, "A": "007", "B": "1", "C": "True", "D": ""} for i in range(2)]
    write_tsv(tmp_path / "T.tsv", [*rows, {"index": 2, **ASK, "A": "8", "B": "1e5", "C": "FALSE", "D": "3"}])

    seen = load(str(tmp_path / "T.tsv"))

    assert seen[["A", "B", "C", "D"]].iloc[2].tolist() == ["8", "1e5", "FALSE", "3"]
    assert seen[["A", "B", "C"]].iloc[0].tolist() == ["007", "1", "True"]


def test_columns_that_are_no_options_keep_their_numbers(tmp_path: Path) -> None:
    from vlmeval.smp import load

    write_tsv(tmp_path / "T.tsv", [{"index": 1, **ASK, "A": "1", "B": "2", "X": "3", "Y": "4.5"}])

    row = load(str(tmp_path / "T.tsv")).iloc[0]

    assert [row["A"], row["X"], row["Y"]] == ["1", 3, 4.5]


def test_upstreams_reading_is_had_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlmeval.smp import load

    write_tsv(tmp_path / "T.tsv", [{"index": 1, **ASK, "A": "None", "B": "007"}])
    monkeypatch.setenv(text_changes.VARIABLE, "1")

    assert load(str(tmp_path / "T.tsv")).equals(pd.read_csv(tmp_path / "T.tsv", sep="\t"))


def test_a_run_shows_the_option_and_counts_its_row(bench: Bench) -> None:
    row = {"index": 1, **ASK, "A": "None", "B": "Two"}
    write_tsv(bench.lmu / "Dogs.tsv", [row])
    probe = "print('ASKED', [i['value'] for i in __import__('inspect').currentframe().f_back.f_locals['message']][-1])"

    shown = bench.run(data="Dogs", before=probe)
    passport = json.loads((bench.out / f"{MODEL}_Dogs_passport.json").read_text())
    hidden = bench.run(data="Dogs", before=probe, VLDOCK_UPSTREAM_MISSING="1")

    assert "A. None" in shown.stdout
    assert "rows with an option, question or answer that pandas takes for missing (None): 1; read as written" in (
        shown.stdout
    )
    assert passport["data"]["text"]["rows_with_missing_words"] == 1
    assert "A. None" not in hidden.stdout
    assert "SET ASIDE" in hidden.stdout


@pytest.mark.parametrize("suffix", ["xlsx", "tsv"])
def test_what_the_model_said_is_scored(bench: Bench, suffix: str) -> None:
    from vlmeval.smp import dump

    said = ["=5", "None", "N/A", "null", "mailto:joe@x.org", "x" * 40_000]
    rows = [{"index": i, "image": picture(i), "question": "?", "answer": str([s] * 10)} for i, s in enumerate(said)]
    write_tsv(bench.lmu / "TextVQA_VAL.tsv", rows)
    bench.out.mkdir(parents=True)
    frame = pd.DataFrame(rows).drop(columns="image").assign(prediction=said)
    dump(frame, str(bench.out / f"{MODEL}_TextVQA_VAL.{suffix}"))

    done = bench.run("--mode", "eval", data="TextVQA_VAL", PRED_FORMAT=suffix)

    assert "Overall = 100" in done.stdout, done.stdout + done.stderr
