"""VLDOCK_STANDIN: its words, and the models that have no stand-in."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vldock.common import matrix, preflight, standin_choice
from vldock.common.errors import UsageError
from vldock.image.evaluation import requests as evaluation_requests
from vldock.image.session import cli as session_cli
from vldock.image.startup import prepare as startup
from vldock.image.workspace import model_location

NONE = "no stand-in exists for {}, only for llava_v1.5_7b"


@pytest.fixture
def _one_standin(monkeypatch: pytest.MonkeyPatch) -> None:
    models = (replace(model, standin=model.name == "llava_v1.5_7b") for model in matrix.MODELS)
    monkeypatch.setattr(matrix, "MODELS", tuple(models))


@pytest.mark.parametrize(
    ("word", "choice"),
    [("1", "1"), ("yes", "1"), ("weights", "weights"), ("", ""), ("0", ""), ("False", "")],
)
def test_the_stand_in_switch(word: str, choice: str) -> None:
    assert standin_choice.read_choice({"VLDOCK_STANDIN": word}) == choice


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="VLDOCK_STANDIN=wieghts"):
        standin_choice.read_choice({"VLDOCK_STANDIN": "wieghts"})


@pytest.mark.usefixtures("_one_standin")
def test_evaluate_refuses_a_model_without_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_STANDIN", "weights")

    with pytest.raises(UsageError, match=NONE.format("sharegpt4v_7b")):
        evaluation_requests.require_model("sharegpt4v_7b")


@pytest.mark.usefixtures("_one_standin")
def test_a_session_refuses_a_model_without_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_STANDIN", "1")
    asked = argparse.Namespace(action="serve", model=["llava_v1.5_7b", "InternVL2-2B"], idle=None)

    with pytest.raises(UsageError, match=NONE.format("InternVL2-2B")):
        session_cli.main(asked)


@pytest.mark.usefixtures("_one_standin")
def test_predict_refuses_a_repository_without_a_stand_in(tmp_path: Path) -> None:
    environ = {"VLDOCK_STANDIN": "1", "TRANSFORMERS_CACHE": str(tmp_path)}

    with pytest.raises(UsageError, match=NONE.format("Lin-Chen/ShareGPT4V-7B")):
        model_location.resolve("sharegpt4v", environ)


def test_a_read_only_folder_of_tables_gets_a_writable_face_beside_stand_in_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "Mine.tsv").write_text("rows", encoding="utf-8")
    monkeypatch.setattr(preflight, "make_writable", lambda path: path != data)
    environ = {"LMUData": str(data), "VLDOCK_STANDIN": "weights", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}

    plan = preflight.prepare(environ, env_files=())

    assert Path(plan.env["LMUData"], "Mine.tsv").read_text(encoding="utf-8") == "rows"


@pytest.mark.parametrize(
    ("word", "told"),
    [("1", "on made-up samples (VLDOCK_STANDIN=weights reads those in {})"), ("weights", "on the tables in {}.")],
)
def test_whose_samples_are_asked_is_told(
    word: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Mine.tsv").write_text("rows", encoding="utf-8")
    monkeypatch.setattr(os, "environ", {**os.environ, "LMUData": str(tmp_path), "VLDOCK_STANDIN": word})
    monkeypatch.setattr(preflight, "apply", lambda environ: None)

    startup.prepare()

    assert told.format(tmp_path) in capsys.readouterr().err
