"""Prefetched inputs of the batched engine.

Prompts are tokenized as the wrapper does, images decoded in threads.
"""

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
SECONDS = 0.1  # how often a waiting thread checks whether to stop


def use_one_thread() -> None:
    """Limit OpenMP to one thread in the calling thread.

    Each computing thread gets its own OpenMP team. As soon as there are more threads than processors, none spins
    while it waits (libgomp's throttled spin count), the model's own included: on two processors a small model then
    takes twice the time.
    """
    torch.get_num_threads()  # torch sets this thread's number at its first use
    ctypes.CDLL(None).omp_set_num_threads(1)


class InputProcessor:
    """Questions to token sequences, image files to pixels."""

    def __init__(self, wrapper: Any, greedy: GreedyDecoding, vision: VisionEncoder, *, engine: str) -> None:
        self._wrapper, self._greedy, self._vision = wrapper, greedy, vision
        self._limit = prompts.token_limit(wrapper.model)
        self._patches = positions.count_patches(wrapper.model)
        self._common = {**prompts.describe_model(wrapper), "engine": engine}
        if vision.disk:
            self._common["features"] = {"space": vision.disk.space.short}
        self._pending: dict[str, Future[torch.Tensor]] = {}
        self._lock = threading.Lock()

    def tokenize(self, question: Question) -> TokenSequence:
        """Return a question as a row.

        Prompt and tokens are exactly those of LLaVA.generate_inner.
        """
        from llava.mm_utils import tokenizer_image_token

        note = {**self._common, **sample_notes.describe_question(question.index, question.message)}
        message = self._wrapper.preproc_content(question.message)
        content, paths = self._wrapper.concat_tilist(message)
        prompt = prompts.render_llava(self._wrapper, message)
        prompt = prompt or f"{self._wrapper.system_prompt}USER: {content} ASSISTANT: "
        tokens: list[int] = tokenizer_image_token(prompt, self._wrapper.tokenizer, sample_notes.IMAGE_TOKEN)
        arguments = self._wrapper.kwargs
        found = sample_notes.describe_prompt(
            tokens, images=[self._patches] * len(paths), limit=self._limit, arguments=arguments, cut=bool(paths)
        )  # fmt: skip
        return TokenSequence(
            question=question,
            tokens=tuple(tokens),
            images=tuple(ImageFile(path, sample_notes.file_digest(path)) for path in paths),
            patches=self._patches,
            limit=self._limit if paths else None,
            note={**note, **found},
            criterion=self._greedy.criterion(tokens),
        )

    def submit_images(self, row: TokenSequence, pool: ThreadPoolExecutor) -> None:
        """Queue a row's images for decoding, except those cached or already queued."""
        for image in row.images:
            with self._lock:
                if image.sha256 not in self._pending and not self._vision.is_cached(image.sha256):
                    self._pending[image.sha256] = pool.submit(self.decode, image.path)

    def pixels(self, image: ImageFile) -> torch.Tensor:
        """Return an image [3, height, width], after waiting where it is queued."""
        with self._lock:
            future = self._pending.get(image.sha256)
        return future.result() if future else self.decode(image.path)

    def release(self, images: Iterable[ImageFile]) -> None:
        """Free the pixels of images whose features are computed."""
        with self._lock:
            for image in images:
                self._pending.pop(image.sha256, None)

    def clear(self) -> None:
        """Free all pixels."""
        with self._lock:
            self._pending.clear()

    def decode(self, path: str) -> torch.Tensor:
        """Return one image file as preprocessed pixels [3, height, width].

        Preprocessing is the wrapper's.
        """
        from llava.mm_utils import process_images
        from PIL import Image

        with Image.open(path) as opened:
            image = opened.convert("RGB")
        found: torch.Tensor = process_images(
            [image], self._wrapper.image_processor, Namespace(image_aspect_ratio="pad")
        )[0]
        return found


class Prefetcher:
    """Rows prefetched by a thread, in the order of their questions.

    At most `size` rows are held.
    """

    def __init__(self, questions: Iterable[Question], inputs: InputProcessor, *, size: int) -> None:
        self._questions, self._inputs = questions, inputs
        self._rows: queue.Queue[TokenSequence | BaseException | None] = queue.Queue(maxsize=size)
        self._stop = threading.Event()
        self.done = False
        self._error: BaseException | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="vldock-image", initializer=use_one_thread)
        self._thread = threading.Thread(target=self._run, name="vldock-prefetch", daemon=True)

    def __enter__(self) -> Prefetcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._thread.join(timeout=10 * SECONDS)  # it may be blocked in the caller's iterator
        self._inputs.clear()

    def take(self, count: int) -> list[TokenSequence]:
        """Return the next `count` rows.

        Fewer when `done`: at the end, or before a faulty question.
        """
        rows: list[TokenSequence] = []
        while len(rows) < count and not self.done:
            item = self._rows.get()
            if isinstance(item, TokenSequence):
                rows.append(item)
            else:
                self.done, self._error = True, item
        return rows

    def raise_pending(self) -> None:
        """Raise the error that ended the rows early, if any.

        Called when the rows before it are answered.
        """
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for question in self._questions:
                row = self._inputs.tokenize(question)
                self._inputs.submit_images(row, self._pool)
                if not self._put(row):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  raised in the thread that takes the rows
            self._put(error)

    def _put(self, item: TokenSequence | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._rows.put(item, timeout=SECONDS)
            except queue.Full:
                continue
            return True
        return False
