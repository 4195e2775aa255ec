"""Runs of the batched engine with the feature cache, over a tiny wrapper: input of the engine cache tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_wrapper

from vldock.common.inference_options import BATCHED
from vldock.image.answering.types import Question
from vldock.image.engines import disk_features
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore

MARKS = [  # of the wrapper's own settings, and of transformers about them
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]
Found = dict[int, tuple[str, list[int]]]
PICTURES = 5  # that are asked about


def make(folder: Path) -> Any:
    """Return VLMEvalKit's LLaVA wrapper with a tiny model, its tower's weights those of its files."""
    return restore_tower(tiny_wrapper.make(folder))


def restore_tower(made: Any) -> Any:
    """Return a wrapper with its tower's weights read again from the tower's files."""
    tower = made.model.get_vision_tower()
    fresh = type(tower.vision_tower).from_pretrained(tower.vision_tower_name)
    tower.vision_tower.load_state_dict(fresh.state_dict())
    return made


def run(
    made: Any, asked: list[Question], root: Path, *, batch_size: int = 3, **env: str
) -> tuple[Found, dict[str, int]]:
    """Answer in what is as good as another process; return the answers and how the images were looked up."""
    disk_features._opened.cache_clear()
    values = {"VLDOCK_ENGINE": BATCHED, "VLDOCK_FEATURE_CACHE": "1", "VLDOCK_FEATURES": str(root), **env}
    engine = BatchedEngine(
        made, batch_size=batch_size, features=FeatureStore(1 << 30), disk=disk_features.open_for(made, values)
    )
    found, seen = Found(), {"read": 0, "computed": 0, "held": 0}
    for answer in engine.answers(asked):
        found[answer.index] = (answer.text, answer.note["answer"])
        for word in seen:
            seen[word] += answer.note["features"].get(word, 0) if "features" in answer.note else 0
    return found, seen
