"""Batched engines for tests, and their answers."""

from __future__ import annotations

from typing import Any

import pytest

from vldock.image.answering.types import Question
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore

Found = dict[int, tuple[str, list[int]]]
WRAPPER_WARNINGS = [  # of the wrapper's own settings, and of transformers about them
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]


def engine(wrapper: Any, size: Any, store: FeatureStore | None = None) -> BatchedEngine:
    return BatchedEngine(wrapper, batch_size=size, features=FeatureStore(1 << 30) if store is None else store)


def answers(made: BatchedEngine, asked: list[Question]) -> Found:
    return {answer.index: (answer.text, answer.note["answer"]) for answer in made.answers(asked)}
