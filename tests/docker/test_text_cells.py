"""Prediction files of the image, read on the host: the model's answers, byte for byte."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from vldock.host.reports import equality, prediction_table

NASTY = Path(__file__).parents[1] / "image" / "nasty_texts.py"
WRITE = """
import sys
sys.path[:0] = ["/made", "/workspace/VLMEvalKit"]
import pandas, nasty_texts
from vlmeval.smp import dump
said = [text for text in nasty_texts.texts() if sys.argv[1] != "json" or text.isprintable()]
frame = pandas.DataFrame({"index": range(len(said)), "prediction": said, "A": said, "hit": 1})
dump(frame, "/made/m_B." + sys.argv[1])
"""


def texts() -> list[str]:
    spec = importlib.util.spec_from_file_location("nasty_texts", NASTY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: list[str] = module.texts()
    return made


@pytest.mark.parametrize("suffix", ["xlsx", "tsv", "json"])
def test_the_host_reads_what_the_image_dumped(run_in_image, tmp_path: Path, suffix: str):
    tmp_path.chmod(0o777)
    shutil.copy(NASTY, tmp_path)
    said = [text for text in texts() if suffix != "json" or text.isprintable()]

    done = run_in_image(["python", "-c", WRITE, suffix], mounts={tmp_path: "/made"})
    rows, reason = prediction_table.read_table(tmp_path / f"m_B.{suffix}")

    assert (done.exit_code, reason) == (0, None), done.text
    assert list(equality.read_predictions(tmp_path / f"m_B.{suffix}").answers.values()) == said
    assert [row["A"] or "" for row in rows] == said
    assert rows[0]["hit"] == 1
