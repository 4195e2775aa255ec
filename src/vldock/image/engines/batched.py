"""Questions answered in batches, with the answers of VLMEvalKit's own loop: see docs/trust/exactness.md.

Rows wait in windows, ordered so that those with one image and those of one length are neighbours. As many as the batch
size allows are read and then answered one token at a time; a row that has ended leaves at once, and when a quarter of
the places is free, waiting rows take them.
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

WINDOW = 64  # rows ordered together; more where the batch is large


class BatchedEngine:
    """Answers for one LLaVA wrapper of VLMEvalKit; `batch_size` rows at once, or as many as fit (`auto`).

    `features` may be shared by several engines of one process; `kept` is the feature cache on the disk, where one is
    asked for. One thing at a time: not for two threads.
    """

    def __init__(
        self, wrapper: Any, *, batch_size: BatchSize, features: FeatureStore, kept: DiskFeatures | None = None
    ) -> None:
        self._wrapper, self._model, self._asked = wrapper, wrapper.model, batch_size
        config, _ = decoding.configuration(self._model, dict(wrapper.kwargs))
        self._rules = decoding.GreedyDecoding(self._model, wrapper.tokenizer, config, stop=wrapper.stop_str)
        self._language = LanguageModel(self._model)
        self._eye = eye = VisionEncoder(self._model, wrapper.image_processor, features, kept)
        self._desk = InputProcessor(wrapper, self._rules, eye, engine=Engine(BATCHED, batch_size).describe())
        heads = ByteStore[Any](engine_memory.head_bytes(self._language.device))
        self._reader = Prefill(self._language, eye, self._desk, heads=heads)
        self._limit: int | None = None if batch_size == AUTO else batch_size

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield an answer for each question, in any order; between two of them lies about one batch of work.

        Raises what VLMEvalKit's own loop would raise for a question, and out of memory where one row alone is too much.
        """
        with closing(self._eye), Prefetcher(questions, self._desk, size=self._window) as ahead:
            turn = BatchStep(self._language, self._reader, self._rules)
            while True:
                if not turn.waiting and not ahead.done:
                    turn.waiting = self._sorted(ahead.take(self._window))
                    yield from self._oddities(turn)
                    self._limit = self._limit or self._fitting(turn.waiting)
                if not turn.waiting and not turn.active:
                    ahead.close()
                    return
                found = self._one(turn)
                yield from (replace(answer, more=True) for answer in found[:-1])
                yield from found[-1:]

    @property
    def _window(self) -> int:
        return max(WINDOW, 4 * (self._limit or 1))

    def _one(self, turn: BatchStep) -> list[Answer]:
        """Do one turn; where memory runs out, go on with half of the rows."""
        limit = self._limit or 1
        try:
            with torch.inference_mode():
                return turn.go(limit)
        except (RuntimeError, MemoryError) as error:
            rows = min(limit, len(turn.active) + turn.entering)
            if not engine_memory.is_out_of_memory(error) or (rows < 2 and not self._reader.holds):
                raise
        self._limit = max(1, rows // 2)
        print(f"out of memory with {rows} rows at once: going on with {self._limit}", flush=True)
        turn.retreat()
        if self._language.device.type == "cuda":
            torch.cuda.empty_cache()
        return []

    def _fitting(self, rows: list[TokenSequence]) -> int | None:
        if not rows:
            return None
        device, dtype = self._language.device, self._model.dtype
        tokens = max(row.length for row in rows)
        found = engine_memory.rows_that_fit(self._model.config, tokens=tokens, dtype=dtype, device=device)
        print(f"engine {BATCHED}/{AUTO}: {found} rows at once", flush=True)
        return found

    def _oddities(self, turn: BatchStep) -> Iterator[Answer]:
        """Leave to VLMEvalKit's own loop what has more or fewer images than places for them."""
        odd = [row for row in turn.waiting if row.odd]
        turn.waiting = [row for row in turn.waiting if not row.odd]
        own = type(self._wrapper).generate  # past whoever counts the answers of the wrapper: they count ours
        for row in odd:
            text = own(self._wrapper, message=row.question.message, dataset=row.question.dataset)
            yield Answer(row.question.index, text, {**row.note, "batch": 1})

    @staticmethod
    def _sorted(rows: list[TokenSequence]) -> list[TokenSequence]:
        """Put rows with one head together, and heads and rows of about one length beside each other."""
        many = Counter(row.head for row in rows)
        return sorted(rows, key=lambda row: (row.head_length if many[row.head] > 1 else row.length,
                                             str(row.head) if many[row.head] > 1 else "", row.length))  # fmt: skip


class BatchStep:
    """The rows that wait and those being answered; `go` does one pass of the model."""

    def __init__(self, language: LanguageModel, reader: Prefill, rules_: decoding.GreedyDecoding) -> None:
        self._language, self._reader, self._rules = language, reader, rules_
        self._cache: AlignedCache | None = None
        self.waiting: list[TokenSequence] = []
        self.active: list[TokenSequence] = []
        self.entering = 0

    def go(self, limit: int) -> list[Answer]:
        """Let rows in where enough places are free, else find the next token of each row; return what has ended."""
        free = limit - len(self.active)
        if self.waiting and (free * 4 >= limit or not self.active):
            return self._enter(max(1, free))
        return self._step()

    def retreat(self) -> None:
        """Put every row back, unanswered, and give back the memory."""
        self._reader.forget()
        self.waiting = [*self.active, *self.waiting]
        for row in self.waiting:
            row.again()
        self.active, self._cache, self.entering = [], None, 0

    def _enter(self, count: int) -> list[Answer]:
        rows = self.waiting[:count]
        self.entering = len(rows)
        logits, pieces = self._reader.read(rows, others=self.waiting[count:])
        tokens = self._rules.next_tokens(logits, [row.answer for row in rows])
        together = len(self.active) + len(rows)
        begun = list(zip(rows, pieces, tokens, strict=True))
        old = [(row, self._cache.piece(i, row.position)) for i, row in enumerate(self.active) if self._cache]
        going = [(row, piece) for row, piece, token in begun if not self._ends_with(row, token)]
        if going:
            entries = [*old, *going]
            self._cache = AlignedCache.gather([piece for _, piece in entries], like=self._language.shape)
            self.active = [row for row, _ in entries]
        self.waiting, self.entering = self.waiting[count:], 0
        for row in (*self.active, *rows):
            row.batch = max(row.batch, together)
        return [self._answer(row) for row in rows if row not in self.active]

    def _step(self) -> list[Answer]:
        if self._cache is None:
            return []
        rows = self.active
        logits = self._language.step(self._cache, [row.answer[-1] for row in rows], [row.position for row in rows])
        tokens = self._rules.next_tokens(logits, [row.answer for row in rows])
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
        return self._rules.ended(row.answer, row.criterion)

    def _answer(self, row: TokenSequence) -> Answer:
        return row.finished(self._rules.text(row.answer))
