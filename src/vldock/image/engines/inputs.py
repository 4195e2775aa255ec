"""Questions made ready ahead of the model: tokens as the wrapper makes them, images decoded in threads."""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from argparse import Namespace
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import torch

from vldock.image.answering.types import Question
from vldock.image.engines.decoding import GreedyDecoding
from vldock.image.engines.memory_features import VisionEncoder
from vldock.image.engines.sequence import ImageFile, TokenSequence
from vldock.image.llava_hooks import positions
from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes

THREADS = min(8, os.cpu_count() or 1)
SECONDS = 0.1  # how often a waiting thread looks whether it should stop


def alone() -> None:
    """Have torch compute without helpers in this thread.

    Each thread that computes gets helpers of its own from OpenMP. As soon as there are more of them than processors,
    none waits awake for its next part any more (libgomp's throttled spin count), the model's own included: on two
    processors a small model then takes twice the time.
    """
    torch.get_num_threads()  # torch sets this thread's number at its first use
    ctypes.CDLL(None).omp_set_num_threads(1)


class InputProcessor:
    """Makes rows of questions, and pixels of their images."""

    def __init__(self, wrapper: Any, rules: GreedyDecoding, eye: VisionEncoder, *, engine: str) -> None:
        self._wrapper, self._rules, self._eye = wrapper, rules, eye
        self._limit = prompts.token_limit(wrapper.model)
        self._patches = positions.patches(wrapper.model)
        self._common = {**prompts.of_model(wrapper), "engine": engine}
        if eye.kept:
            self._common["features"] = {"space": eye.kept.space.short}
        self._pending: dict[str, Future[torch.Tensor]] = {}
        self._lock = threading.Lock()

    def row(self, question: Question) -> TokenSequence:
        """Return a question as a row: prompt and tokens exactly as LLaVA.generate_inner makes them."""
        from llava.mm_utils import tokenizer_image_token

        note = {**self._common, **sample_notes.of_question(question.index, question.message)}
        message = self._wrapper.preproc_content(question.message)
        content, paths = self._wrapper.concat_tilist(message)
        prompt = prompts.of_llava(self._wrapper, message)
        prompt = prompt or f"{self._wrapper.system_prompt}USER: {content} ASSISTANT: "
        tokens: list[int] = tokenizer_image_token(prompt, self._wrapper.tokenizer, sample_notes.IMAGE_TOKEN)
        arguments = self._wrapper.kwargs
        found = sample_notes.of_prompt(
            tokens, images=[self._patches] * len(paths), limit=self._limit, arguments=arguments, cut=bool(paths)
        )  # fmt: skip
        return TokenSequence(
            question=question,
            tokens=tuple(tokens),
            images=tuple(ImageFile(path, sample_notes.digest(path)) for path in paths),
            patches=self._patches,
            limit=self._limit if paths else None,
            note={**note, **found},
            criterion=self._rules.criterion(tokens),
        )

    def order(self, row: TokenSequence, pool: ThreadPoolExecutor) -> None:
        """Have the images of a row decoded, but for those whose features are known or that are on their way."""
        for image in row.images:
            with self._lock:
                if image.sha256 not in self._pending and not self._eye.knows(image.sha256):
                    self._pending[image.sha256] = pool.submit(self.decode, image.path)

    def pixels(self, image: ImageFile) -> torch.Tensor:
        """Return an image [3, height, width], waiting for it where it is on its way."""
        with self._lock:
            future = self._pending.get(image.sha256)
        return future.result() if future else self.decode(image.path)

    def seen(self, images: Iterable[ImageFile]) -> None:
        """Drop the pixels of images whose features are known."""
        with self._lock:
            for image in images:
                self._pending.pop(image.sha256, None)

    def forget(self) -> None:
        """Drop all pixels."""
        with self._lock:
            self._pending.clear()

    def decode(self, path: str) -> torch.Tensor:
        """Read and prepare one image as the wrapper does."""
        from llava.mm_utils import process_images
        from PIL import Image

        with Image.open(path) as opened:
            image = opened.convert("RGB")
        found: torch.Tensor = process_images(
            [image], self._wrapper.image_processor, Namespace(image_aspect_ratio="pad")
        )[0]
        return found


class Prefetcher:
    """Rows in the order of their questions, made by a thread that is at most `size` rows ahead."""

    def __init__(self, questions: Iterable[Question], desk: InputProcessor, *, size: int) -> None:
        self._questions, self._desk = questions, desk
        self._rows: queue.Queue[TokenSequence | BaseException | None] = queue.Queue(maxsize=size)
        self._stop = threading.Event()
        self.done = False
        self._error: BaseException | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="vldock-image", initializer=alone)
        self._thread = threading.Thread(target=self._run, name="vldock-ahead", daemon=True)

    def __enter__(self) -> Prefetcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._thread.join(timeout=10 * SECONDS)  # it may be waiting for a question that never comes
        self._desk.forget()

    def take(self, count: int) -> list[TokenSequence]:
        """Return the next `count` rows, fewer when `done`: at the end, or before a question that is in error."""
        rows: list[TokenSequence] = []
        while len(rows) < count and not self.done:
            item = self._rows.get()
            if isinstance(item, TokenSequence):
                rows.append(item)
            else:
                self.done, self._error = True, item
        return rows

    def close(self) -> None:
        """Raise what ended the rows early, if anything did; called when those before it are answered."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for question in self._questions:
                row = self._desk.row(question)
                self._desk.order(row, self._pool)
                if not self._put(row):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to the thread that asks
            self._put(error)

    def _put(self, item: TokenSequence | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._rows.put(item, timeout=SECONDS)
            except queue.Full:
                continue
            return True
        return False
