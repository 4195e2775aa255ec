"""Batched engine with the answers of VLMEvalKit's own loop (docs/trust/exactness.md).

Rows wait in windows, sorted so that rows with the same image, and rows of equal length, are neighbours. As many as the
batch size allows are prefilled, then decoded one token at a time; a finished row leaves at once, and when a quarter of
the places is free, waiting rows take them (continuous batching).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch

from vldock.common.inference_options import AUTO, BATCHED, BatchSize, Engine
from vldock.image.answering.types import Answer, Question
from vldock.image.engines import decoding
from vldock.image.engines import memory as engine_memory
from vldock.image.engines.byte_lru import ByteStore
from vldock.image.engines.disk_features import DiskFeatures
from vldock.image.engines.inputs import InputProcessor, Prefetcher
from vldock.image.engines.kv_cache import AlignedCache
from vldock.image.engines.language_model import LanguageModel
from vldock.image.engines.memory_features import FeatureStore, VisionEncoder
from vldock.image.engines.prefill import Prefill
from vldock.image.engines.sequence import TokenSequence

WINDOW = 64  # rows sorted together; more where the batch is large


class BatchedEngine:
    """Batched inference for one LLaVA wrapper of VLMEvalKit.

    `batch_size` rows at once, or as many as fit (`auto`). `features` may be shared by several engines of one process;
    `disk` is the feature cache on the disk, where requested. Not thread-safe.
    """

    def __init__(
        self, wrapper: Any, *, batch_size: BatchSize, features: FeatureStore, disk: DiskFeatures | None = None
    ) -> None:
        self._wrapper, self._model = wrapper, wrapper.model
        config, _ = decoding.generation_config(self._model, dict(wrapper.kwargs))
        self._greedy = decoding.GreedyDecoding(self._model, wrapper.tokenizer, config, stop=wrapper.stop_str)
        self._language_model = LanguageModel(self._model)
        self._vision = vision = VisionEncoder(self._model, wrapper.image_processor, features, disk)
        self._inputs = InputProcessor(wrapper, self._greedy, vision, engine=Engine(BATCHED, batch_size).describe())
        prefixes = ByteStore[Any](engine_memory.prefix_bytes(self._language_model.device))
        self._prefill = Prefill(self._language_model, vision, self._inputs, prefixes=prefixes)
        self._limit: int | None = None if batch_size == AUTO else batch_size

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield an answer for each question, in any order.

        Answers appear about one batch of work apart.
        Raises the exceptions of VLMEvalKit's own loop, and out of memory where a single row is too large.
        """
        with closing(self._vision), Prefetcher(questions, self._inputs, size=self._window) as prefetcher:
            step = BatchStep(self._language_model, self._prefill, self._greedy)
            while True:
                if not step.waiting and not prefetcher.done:
                    step.waiting = self._sorted(prefetcher.take(self._window))
                    yield from self._answer_mismatched(step)
                    self._limit = self._limit or self._rows_that_fit(step.waiting)
                if not step.waiting and not step.active:
                    prefetcher.raise_pending()
                    return
                found = self._run_step(step)
                yield from (replace(answer, more=True) for answer in found[:-1])
                yield from found[-1:]

    @property
    def _window(self) -> int:
        return max(WINDOW, 4 * (self._limit or 1))

    def _run_step(self, step: BatchStep) -> list[Answer]:
        """Run one step, with half of the rows after out of memory."""
        limit = self._limit or 1
        try:
            with torch.inference_mode():
                return step.run(limit)
        except (RuntimeError, MemoryError) as error:
            rows = min(limit, len(step.active) + step.entering)
            if not engine_memory.is_out_of_memory(error) or (rows < 2 and not self._prefill.holds_prefixes):
                raise
        self._limit = max(1, rows // 2)
        print(f"out of memory with {rows} rows at once: going on with {self._limit}", flush=True)
        step.restart()
        if self._language_model.device.type == "cuda":
            torch.cuda.empty_cache()
        return []

    def _rows_that_fit(self, rows: list[TokenSequence]) -> int | None:
        if not rows:
            return None
        device, dtype = self._language_model.device, self._model.dtype
        tokens = max(row.length for row in rows)
        found = engine_memory.rows_that_fit(self._model.config, tokens=tokens, dtype=dtype, device=device)
        print(f"engine {BATCHED}/{AUTO}: {found} rows at once", flush=True)
        return found

    def _answer_mismatched(self, step: BatchStep) -> Iterator[Answer]:
        """Answer mismatched rows with VLMEvalKit's own loop.

        Their numbers of images and of placeholders differ.
        """
        mismatched = [row for row in step.waiting if row.mismatched]
        step.waiting = [row for row in step.waiting if not row.mismatched]
        own = type(self._wrapper).generate  # not the instance's, which counts answers: ours are counted elsewhere
        for row in mismatched:
            text = own(self._wrapper, message=row.question.message, dataset=row.question.dataset)
            yield Answer(row.question.index, text, {**row.note, "batch": 1})

    @staticmethod
    def _sorted(rows: list[TokenSequence]) -> list[TokenSequence]:
        """Sort rows so that equal prefixes, then similar lengths, are neighbours."""
        many = Counter(row.prefix for row in rows)
        return sorted(rows, key=lambda row: (row.prefix_length if many[row.prefix] > 1 else row.length,
                                             str(row.prefix) if many[row.prefix] > 1 else "", row.length))  # fmt: skip


class BatchStep:
    """State of a batch: waiting and active rows.

    `run` does one pass of the model.
    """

    def __init__(self, language_model: LanguageModel, prefill: Prefill, greedy: decoding.GreedyDecoding) -> None:
        self._language_model, self._prefill, self._greedy = language_model, prefill, greedy
        self._cache: AlignedCache | None = None
        self.waiting: list[TokenSequence] = []
        self.active: list[TokenSequence] = []
        self.entering = 0

    def run(self, limit: int) -> list[Answer]:
        """Run one step of work and return the finished answers.

        Prefills waiting rows if enough places are free, else decodes one token of each row.
        """
        free = limit - len(self.active)
        if self.waiting and (free * 4 >= limit or not self.active):
            return self._admit(max(1, free))
        return self._decode()

    def restart(self) -> None:
        """Return every active row to the queue, unanswered, and free the memory."""
        self._prefill.clear()
        self.waiting = [*self.active, *self.waiting]
        for row in self.waiting:
            row.reset()
        self.active, self._cache, self.entering = [], None, 0

    def _admit(self, count: int) -> list[Answer]:
        rows = self.waiting[:count]
        self.entering = len(rows)
        logits, slices = self._prefill.run(rows, others=self.waiting[count:])
        tokens = self._greedy.next_tokens(logits, [row.answer for row in rows])
        together = len(self.active) + len(rows)
        begun = list(zip(rows, slices, tokens, strict=True))
        old = [(row, self._cache.row_slice(i, row.position)) for i, row in enumerate(self.active) if self._cache]
        going = [(row, item) for row, item, token in begun if not self._ends_with(row, token)]
        if going:
            entries = [*old, *going]
            self._cache = AlignedCache.gather([item for _, item in entries], like=self._language_model.shape)
            self.active = [row for row, _ in entries]
        self.waiting, self.entering = self.waiting[count:], 0
        for row in (*self.active, *rows):
            row.batch = max(row.batch, together)
        return [self._answer(row) for row in rows if row not in self.active]

    def _decode(self) -> list[Answer]:
        if self._cache is None:
            return []
        rows = self.active
        logits = self._language_model.decode(
            self._cache, [row.answer[-1] for row in rows], [row.position for row in rows]
        )
        tokens = self._greedy.next_tokens(logits, [row.answer for row in rows])
        ended = [self._ends_with(row, token) for row, token in zip(rows, tokens, strict=True)]
        if any(ended):
            kept = [i for i, over in enumerate(ended) if not over]
            if kept:
                self._cache.keep(kept, width=max(rows[i].position for i in kept))
            else:
                self._cache = None
            self.active = [rows[i] for i in kept]
        return [self._answer(row) for row, over in zip(rows, ended, strict=True) if over]

    def _ends_with(self, row: TokenSequence, token: int) -> bool:
        row.answer.append(token)
        return self._greedy.has_ended(row.answer, row.criterion)

    def _answer(self, row: TokenSequence) -> Answer:
        return row.to_answer(self._greedy.text(row.answer))
