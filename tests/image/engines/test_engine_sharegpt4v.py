"""Batched engine and feature cache for ShareGPT4V: the stock loop's answers, keyed by its own tower's repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_cache_fixture
import pytest
import tiny_wrapper
import torch
from engine_answers import answers, engine
from engine_cache_fixture import MARKS, PICTURES, Found, run
from tiny_model import TOWER as CLIP
from tiny_model import make_snapshot

from vldock.common.matrix import find_model
from vldock.image.answering.types import Question
from vldock.image.engines import disk_features, eligibility
from vldock.image.features import build, for_evaluation, picture_rows, towers
from vldock.image.weights import model_files

pytestmark = [*MARKS, pytest.mark.filterwarnings("ignore:`resume_download` is deprecated:FutureWarning")]
NAME = "sharegpt4v_7b"
# how the published config names its class; LLaVA has no such type
PUBLISHED = {"model_type": "share4v", "architectures": ["Share4VLlamaForCausalLM"]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hub cache with a tiny ShareGPT4V, its tower, and openai's CLIP of the same shape; this process reads it."""
    root = tmp_path_factory.mktemp("hub")
    declared = find_model(NAME)
    assert declared is not None
    checkpoint, tower, clip = (make_snapshot(root, repo) for repo in (declared.repo, *declared.needs, CLIP))
    tiny_wrapper.write(tower, checkpoint)
    torch.manual_seed(9)
    tiny_wrapper._verifier().make_tower(clip)
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | PUBLISHED | {"mm_vision_tower": declared.needs[0]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFORMERS_CACHE", str(root))
        patch.setenv("HUGGINGFACE_HUB_CACHE", str(root))
        patch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(root))
        yield root


@pytest.fixture(scope="module")
def wrapper(cache: Path) -> Any:
    """The wrapper of VLMEvalKit's table, its tower as its files have it."""
    from vlmeval.config import supported_VLM

    torch.manual_seed(6)
    return engine_cache_fixture.restore_tower(tiny_wrapper.load(supported_VLM[NAME].keywords["model_path"]))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Every test is a process of its own, as far as the cache can tell."""
    yield
    disk_features._opened.cache_clear()


@pytest.mark.parametrize("size", [1, 3, "auto"])
def test_every_answer_is_the_stock_loops_token_for_token(
    wrapper: Any, asked: list[Question], expected: Found, size: Any
) -> None:
    assert eligibility.refusal(wrapper) is None
    assert len({text for text, _ in expected.values()}) > 5
    assert answers(engine(wrapper, size), asked) == expected


def test_cold_and_warm_answers_are_the_stock_loops_and_no_tower_runs_twice(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    cold, first = run(wrapper, asked, tmp_path)
    warm, second = run(wrapper, asked, tmp_path, batch_size=5)

    assert cold == warm == expected
    assert (first["read"], first["computed"]) == (0, PICTURES)
    assert (second["read"], second["computed"]) == (PICTURES, 0)


def test_the_key_has_the_tower_of_its_own_repository_and_not_clips(wrapper: Any) -> None:
    tower = wrapper.model.get_vision_tower()
    found = for_evaluation.space_of(tower, wrapper.image_processor, dtype=torch.float32, device=torch.device("cpu"))
    declared = find_model(NAME)
    assert declared is not None
    own, clip = (model_files.facts(repo) for repo in (*declared.needs, CLIP))

    assert tower.vision_tower_name == declared.needs[0]
    assert own is not None
    assert clip is not None
    assert found.tower == own["sha256"] != clip["sha256"]


def test_features_built_by_its_name_are_those_the_evaluation_reads(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    paths = {part["value"] for item in asked for part in item.message if part["type"] == "image"}
    rows = picture_rows.from_folder(Path(paths.pop()).parent)
    vl_model, processor = towers.open_tower(NAME, device="cpu", for_evaluation=True)
    build.build(rows, vl_model=vl_model, processor=processor, cache_dir=tmp_path, dtype="float32")

    found, seen = run(wrapper, asked, tmp_path)

    assert found == expected
    assert (seen["read"], seen["computed"]) == (PICTURES, 0)
