"""One loaded model for many benchmarks.

VLMEvalKit itself builds the model once per run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vldock.image.answering.model_facts import Facts, facts_of
from vldock.image.weights import model_files


class SharedModel:
    """Placeholder for the constructor in `supported_VLM`.

    It returns the loaded model each time.
    """

    def __init__(self, construct: Callable[..., Any]) -> None:
        self.__wrapped__ = construct  # inspect.unwrap finds the model's own arguments: they are part of its identity
        self._model: Any = None
        self.on_answer: Callable[[], None] = lambda: None
        self.on_question: Callable[[], None] = lambda: None

    def load(self) -> float:
        """Load the model and return the seconds it took.

        The constructor's exceptions pass through.
        """
        from vldock.image.engines import memoized_tower
        from vldock.image.vlmeval_hooks.provenance import specs

        begun = time.monotonic()
        model_files.require_whole(*specs.repositories(self.__wrapped__))
        self._model = self.__wrapped__()
        memoized_tower.prepare(self._model)
        self._watch_generate()
        return time.monotonic() - begun

    def __call__(self, **kwargs: Any) -> Any:
        """Return the loaded model; `kwargs` are VLMEvalKit's (use_vllm) and ignored."""
        return self._model

    def facts(self) -> Facts:
        """Return device, dtype and attention of the loaded model.

        They are read from the loaded weights, not from the settings.
        """
        return facts_of(self._model)

    def _watch_generate(self) -> None:
        from vldock.image.engines import memoized_tower

        generate = self._model.generate

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.on_question()
            with memoized_tower.memoized(self._model):
                answer = generate(*args, **kwargs)
            self.on_answer()
            return answer

        self._model.generate = watched
        self._model._vldock_watch = self  # engines do not call generate(): they report answers here
