"""Code that an identity names."""

from __future__ import annotations

import importlib.metadata
import sys
from types import SimpleNamespace

import pytest

from vldock.image.vlmeval_hooks.provenance import specs


def test_the_code_of_an_identity_is_all_that_shapes_a_prompt_or_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specs, "sources_digest", lambda *packages: " ".join(packages))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: name)
    monkeypatch.setitem(sys.modules, "vlmeval", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "vlmeval.smp", SimpleNamespace(githash=lambda digits: "354a485"))

    code = specs.code_spec.__wrapped__()

    names = ("vlmeval_hooks", "llava_hooks", "answering", "process")
    assert code["vldock"].split() == [f"vldock.image.{name}" for name in names]
