"""The model of a session's evaluator: its engine is the worker's, or none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vldock.image import engines
from vldock.image.session import remote_model
from vldock.image.session.remote_model import RemoteEngine


class Wrapper:
    """VLMEvalKit's wrapper, as far as it is built without weights."""


def made(not_batched: str | None) -> Any:
    state = {"class": f"{__name__}:Wrapper", "state": {}, "note": {}, "not_batched": not_batched, "remote_code": {}}
    return remote_model.make("InternVL2-2B", state, worker=SimpleNamespace())


def test_a_model_the_batched_engine_refuses_is_told_once_and_answered_by_the_loop(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")

    assert engines.engine_of(made("it decodes with 3 beams"), "InternVL2-2B") is None
    said = "".join(capfd.readouterr())
    assert said.count("VLMEvalKit's own loop answers InternVL2-2B instead: it decodes with 3 beams") == 1


def test_a_model_it_accepts_has_the_workers_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_ENGINE", "batched")

    assert isinstance(engines.engine_of(made(None), "llava_v1.5_7b"), RemoteEngine)
