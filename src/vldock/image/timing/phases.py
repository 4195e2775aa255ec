"""Seconds of a process by phase.

VLDOCK_PHASES=FILE appends one JSON line per process to FILE.
start-up (from the process's or fork's begin), load, data, preprocess, vision, prefill, decode, loop (the rest of
inference), scoring, waiting (for a session or its worker); anything else is the difference to `wall`. Functions are
wrapped when their modules are imported; without the variable nothing is wrapped.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from vldock.image.process import import_hook
from vldock.image.process import stats as process_stats
from vldock.image.timing.stopwatch import Stopwatch

VARIABLE = "VLDOCK_PHASES"


def language_phase(*_args: Any, past_key_values: Any = None, **_kwargs: Any) -> str:
    """Return the phase of a forward() of LLaVA's language model."""
    return "prefill" if past_key_values is None else "decode"


# {module: ((function in it, phase), ...)}
TIMED: dict[str, tuple[tuple[str, str | Callable[..., str]], ...]] = {
    "vldock.image.engines.shared_model": (("SharedModel.load", "load"),),
    "vldock.image.vlmeval_hooks.models.build": (("build", "load"),),
    "vldock.image.session.client": (("attach", "waiting"), ("ask", "waiting")),
    "vldock.image.session.worker_client": (("WorkerClient.ask", "waiting"), ("WorkerClient._next", "waiting")),
    "vlmeval.run": (("build_dataset", "data"), ("infer_data_job", "loop")),
    "PIL.Image": (("Image.convert", "preprocess"),),
    "llava.mm_utils": (("process_images", "preprocess"),),
    "llava.model.llava_arch": (("LlavaMetaForCausalLM.encode_images", "vision"),),
    "llava.model.language_model.llava_llama": (("LlavaLlamaForCausalLM.forward", language_phase),),
    "vldock.image.engines.batched": (("BatchedEngine._run_step", "loop"),),
    "vldock.image.engines.inputs": (
        *(("InputProcessor.tokenize", "loop"), ("InputProcessor.decode", "preprocess")),
        *(("InputProcessor.pixels", "preprocess"), ("Prefetcher.take", "preprocess")),
    ),
    "vldock.image.engines.memory_features": (("VisionEncoder.encode", "vision"),),
    "vldock.image.engines.language_model": (
        *(
            ("LanguageModel.project", "vision"),
            ("LanguageModel.prefill", "prefill"),
            ("LanguageModel.decode", "decode"),
        ),
    ),
}


@dataclass
class Answers:
    """Number of answers, and time of the first (seconds since the epoch)."""

    count: int = 0
    first: float | None = None

    def add(self) -> None:
        """Count an answer."""
        self.count += 1
        self.first = self.first or time.time()


@dataclass
class Record:
    """Measurements of one process; a fork has its own."""

    file: Path
    watch: Stopwatch
    answers: Answers = field(default_factory=Answers)

    def line(self) -> dict[str, Any]:
        """Return the JSON object written for this process."""
        times = os.times()
        return {
            "pid": os.getpid(),
            "argv": sys.orig_argv[1:] if sys.argv[:1] in ([""], ["-c"]) else sys.argv,
            "wall": round(self.watch.seconds(), 4),
            "cpu": round(times.user + times.system + times.children_user + times.children_system, 2),
            "phases": {name: asdict(spent) for name, spent in self.watch.phases.items()},
            "beside": {name: asdict(spent) for name, spent in self.watch.beside.items()},
            **{"answers": self.answers.count, "first_answer": self.answers.first},
            "container": process_stats.container_usage(),
        }

    def write(self) -> None:
        """Append the line to the file.

        A fork's variable may name another file than its parent's.
        """
        file = Path(os.environ.get(VARIABLE) or self.file)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(self.line()) + "\n")


_records: list[Record] = []
_TIMED = object()  # not plain data: a session copies a model's plain attributes to its evaluators


def begin(file: str) -> None:
    """Time this process and its forks from now on; once."""
    if _records:
        return
    _records.append(Record(Path(file), Stopwatch(time.monotonic() - process_stats.process_age())))
    os.register_at_fork(after_in_child=restart)
    atexit.register(lambda: _records[0].write())
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    import_hook.call({*TIMED, *ANSWERING}, _wrap)


def restart() -> None:
    """Discard the times so far.

    A fork's time begins with it, or later.
    """
    if not _records:
        return
    _records[:] = [Record(_records[0].file, Stopwatch(time.monotonic()))]
    if signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> None:
    """Exit on SIGTERM, so that the process writes its line."""
    raise SystemExit(128 + number)


def _wrap(module: ModuleType) -> None:
    for path, phase in TIMED.get(module.__name__, ()):
        *parents, name = path.split(".")
        owner: Any = functools.reduce(getattr, parents, module)
        setattr(owner, name, _timed(phase, getattr(owner, name)))
    for path, change in ANSWERING.get(module.__name__, ()):
        setattr(module, path, change(getattr(module, path)))


def _timed(phase: str | Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its calls timed for a phase.

    The time goes to the calling process's stopwatch.
    """

    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        with _records[0].watch.within(phase if isinstance(phase, str) else phase(*args, **kwargs)):
            return function(*args, **kwargs)

    return counted


def _scored(build_dataset: Callable[..., Any]) -> Callable[..., Any]:
    def built(*args: Any, **kwargs: Any) -> Any:
        dataset = build_dataset(*args, **kwargs)
        if dataset is not None:
            dataset.evaluate = _timed("scoring", dataset.evaluate)
        return dataset

    return functools.wraps(build_dataset)(built)


def _answering(build: Callable[..., Any]) -> Callable[..., Any]:
    """Count the answers of VLMEvalKit's own loop.

    The batched engine's answers pass through `_save`.
    """

    def built(*args: Any, **kwargs: Any) -> Any:
        model = build(*args, **kwargs)
        if getattr(model, "_vldock_timed", None) is not _TIMED:
            model.generate, model._vldock_timed = _counted(_timed("loop", model.generate)), _TIMED
        return model

    return functools.wraps(build)(built)


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        _records[0].answers.add()
        return value

    return counted


# {module: ((function in it, what is made of it), ...)}
ANSWERING: dict[str, tuple[tuple[str, Callable[[Callable[..., Any]], Callable[..., Any]]], ...]] = {
    "vlmeval.run": (("build_dataset", _scored),),
    "vldock.image.vlmeval_hooks.models.build": (("build", _answering),),
    "vldock.image.engines.vlmeval_loop": (("_save", _counted),),
}
