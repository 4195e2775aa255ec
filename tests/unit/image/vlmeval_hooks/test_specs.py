"""What an identity names: code, and every repository a model reads."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vldock.image.vlmeval_hooks.provenance import run_identity, specs
from vldock.image.weights import hub_snapshots

COGVLM, VICUNA, COMMIT = "THUDM/cogvlm-chat-hf", "lmsys/vicuna-7b-v1.5", "a" * 40


def test_the_code_of_an_identity_is_all_that_shapes_a_prompt_or_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specs, "sources_digest", lambda *packages: " ".join(packages))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: name)
    monkeypatch.setitem(sys.modules, "vlmeval", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "vlmeval.smp", SimpleNamespace(githash=lambda digits: "354a485"))

    code = specs.code_spec.__wrapped__()

    names = ("vlmeval_hooks", "llava_hooks", "answering", "process", "remote_code")
    assert code["vldock"].split() == [f"vldock.image.{name}" for name in names]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache with CogVLM's repository and its tokenizer's."""
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(tmp_path))
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", str(tmp_path))
    for repo in (COGVLM, VICUNA):
        add_repository(tmp_path, repo)
    return tmp_path


def add_repository(cache: Path, repo: str) -> Path:
    """Add a repository of a configuration and weights; return its snapshot."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    folder = place / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_text(repo)
    return folder


class CogVlm:
    """A model class."""


def factory(**named: str) -> functools.partial[CogVlm]:
    return functools.partial(CogVlm, model_path=COGVLM, **named)


def test_an_edited_tokenizer_repository_is_another_model(cache: Path) -> None:
    before = {"model": specs.model_spec(factory())}
    (next(cache.glob("*vicuna*/snapshots/*")) / "tokenizer_config.json").write_text('{"add_bos_token": false}')

    (phrase,) = run_identity.differences(before, {"model": specs.model_spec(factory())})

    assert phrase.startswith(f"model.weights of {VICUNA} was")


def test_a_repository_that_the_factory_names_is_part_of_the_model(cache: Path) -> None:
    add_repository(cache, "somebody/tokens")

    others = specs.other_repositories(factory(tokenizer_name="somebody/tokens", mode="a/b", path="/nowhere"))

    assert others == [VICUNA, "somebody/tokens"]


def test_a_repository_not_yet_downloaded_equals_any(cache: Path) -> None:
    after = {"model": specs.model_spec(factory())}
    before = {"model": {**after["model"], f"weights of {VICUNA}": None}}

    assert run_identity.differences(before, after) == []


def test_only_the_files_a_lock_fetches_of_a_repository_count(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = cache / "weights.json"
    lock.write_text(json.dumps({"repositories": [{"repo": VICUNA, "only": ["tokenizer*"]}]}))
    monkeypatch.setattr(specs.model_files, "used_files", lambda repo: hub_snapshots.used_files(repo, str(lock)))

    assert list((specs.model_files.facts(VICUNA) or {})["files"]) == ["tokenizer_config.json"]
    assert list((specs.model_files.facts(COGVLM) or {})["files"]) == ["pytorch_model.bin", "tokenizer_config.json"]


def test_a_repository_that_holds_the_models_code_is_part_of_the_model(cache: Path) -> None:
    auto_map = {"auto_map": {"AutoModel": "somebody/code--modeling.M", "AutoConfig": "configuration.C"}}
    (next(cache.glob("*cogvlm*/snapshots/*")) / "config.json").write_text(json.dumps(auto_map))

    assert specs.other_repositories(factory()) == [VICUNA, "somebody/code"]
