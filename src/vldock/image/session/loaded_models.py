"""Models loaded by the worker, each once.

A load's memory is announced; a model is unloaded when another needs its memory.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vldock.common import standin_choice
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.image.answering.model_facts import Facts, facts_of
from vldock.image.session import model_memory
from vldock.image.session.worker_failure import one_line

if TYPE_CHECKING:
    from vldock.image.session.messages import ModelDescription

Log = Callable[[str], None]
PLAIN = (bool, int, float, str, type(None))


@dataclass
class LoadedModel:
    """A loaded model with its identity, facts and use."""

    name: str
    model: Any
    spec: dict[str, Any]
    facts: Facts
    note: dict[str, Any]
    remote_code: dict[str, dict[str, Any]]
    seconds: float
    bytes: int
    answers: int = 0
    used: float = 0.0

    def state(self) -> dict[str, Any]:
        """Return its entry in `session status`."""
        return {
            "name": self.name,
            "state": "ready",
            "error": None,
            "revision": self.spec.get("revision"),
            **asdict(self.facts),
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "answers": self.answers,
        }

    def description(self) -> ModelDescription:
        """Return the description of a loaded model.

        An evaluator builds the same object from it, without weights.
        """
        from vldock.image.engines import eligibility

        kind = type(self.model)
        return {
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "state": {name: value for name, value in vars(self.model).items() if is_plain(value)},
            "facts": asdict(self.facts),
            "note": self.note,
            "not_batched": eligibility.refusal(self.model),
            "remote_code": self.remote_code,
        }


def is_plain(value: Any) -> bool:
    """Return whether a value consists of plain data only."""
    if isinstance(value, Mapping):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, PLAIN)


class LoadedModels:
    """Store of loaded models: loads, finds and unloads them.

    `busy` returns the names of models in use.
    """

    def __init__(
        self, *, emit: Callable[..., None], busy: Callable[[], set[str]], on_change: Callable[[], None]
    ) -> None:
        self._emit, self._busy, self._on_change = emit, busy, on_change
        self._loaded: dict[str, LoadedModel] = {}
        self._other: dict[str, dict[str, Any]] = {}  # states of models that are loading or failed

    def states(self) -> list[dict[str, Any]]:
        """Return the state of every model: loaded, loading or failed."""
        return [*(loaded.state() for loaded in list(self._loaded.values())), *self._other.values()]

    def get(self, name: str, *, log: Log) -> LoadedModel:
        """Return a model, loaded if needed; `log` gets the memory it needs.

        Raises UsageError for a name unknown to VLMEvalKit, EnvironmentUnfit without room, else the errors of the load.
        """
        if name not in self._loaded:
            self._load(name, log)
        loaded = self._loaded[name]
        loaded.used = time.monotonic()
        return loaded

    def unload(self, name: str) -> bool:
        """Unload a model; return whether it was loaded."""
        loaded = self._loaded.pop(name, None)
        if loaded is None:
            return False
        loaded.model = None
        del loaded
        gc.collect()
        model_memory.release()
        self._emit("model_unloaded", model=name)
        self._on_change()
        return True

    def _load(self, name: str, log: Log) -> None:
        from vlmeval.config import supported_VLM

        from vldock.image.engines import memoized_tower
        from vldock.image.remote_code import admission
        from vldock.image.vlmeval_hooks.models import build as model_build
        from vldock.image.vlmeval_hooks.models import requirements
        from vldock.image.vlmeval_hooks.provenance import prompts, specs
        from vldock.image.vlmeval_hooks.run import unknown_names

        if name not in supported_VLM:
            raise UsageError(f"unknown model {name!r}", expected="a name of vlmutil mlist all")
        requirements.require_memory([name])
        if standin_choice.read_choice(os.environ):
            standin_choice.require(unknown_names.find_hub_models([name]))
        self._other[name] = {"name": name, "state": "loading", "error": None}
        self._on_change()
        self._emit("model_loading", model=name)
        begun = time.monotonic()
        try:
            before = model_memory.used_bytes()
            self._make_room(name, model_memory.needed_bytes(specs.repo_of(supported_VLM[name])), log)
            model_build.forget_failures()
            model = model_build.build(supported_VLM, name, {})
            memoized_tower.prepare(model)
        except Exception as error:
            cause = one_line(error)
            self._other[name] = {"name": name, "state": "failed", "error": cause}
            self._emit("model_failed", model=name, error=cause)
            self._on_change()
            raise
        seconds = time.monotonic() - begun
        spec, facts = specs.model_spec(supported_VLM[name]), facts_of(model)
        code = admission.describe_repositories(specs.repositories(supported_VLM[name]))
        size = max(model_memory.used_bytes() - before, 0)
        note = prompts.describe_model(model)
        self._loaded[name] = LoadedModel(name, model, spec, facts, note, code, seconds, size)
        self._other.pop(name, None)
        self._emit("model_loaded", model=name, seconds=round(seconds, 3), bytes=size, **asdict(facts))
        self._on_change()

    def _make_room(self, name: str, needed: int | None, log: Log) -> None:
        """Unload unused models until a load fits in memory.

        Least recently used first. The load's memory is logged.
        """
        if needed is None:
            log(f"loading {name}; how much memory it needs is not known before it was downloaded")
            return
        beside = f" beside {', '.join(self._loaded)}" if self._loaded else ""
        where = model_memory.where()
        log(f"loading {name}{beside}: about {_gb(needed)} needed, {_gb(model_memory.free())} free on {where}")
        while model_memory.free() < needed:
            idle = [loaded for loaded in self._loaded.values() if loaded.name not in self._busy()]
            if not idle:
                raise EnvironmentUnfit(
                    f"{name} needs about {_gb(needed)} and {_gb(model_memory.free())} are free on {where}",
                    expected="room for it",
                    hint="python -m vldock.image session unload MODEL, or a session of its own for it",
                )
            oldest = min(idle, key=lambda loaded: loaded.used).name
            log(f"unloading {oldest}, which nobody uses now, to make room")
            self.unload(oldest)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
