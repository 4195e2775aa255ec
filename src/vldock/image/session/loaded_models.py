"""The models a worker holds: loaded once, told what they need before, unloaded when another needs the room."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vldock.common import standin_choice
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.image.answering.model_facts import Facts, facts_of
from vldock.image.session import model_memory
from vldock.image.session.worker_failure import one_line

Say = Callable[[str], None]
PLAIN = (bool, int, float, str, type(None))


@dataclass
class LoadedModel:
    """A loaded model."""

    name: str
    model: Any
    spec: dict[str, Any]
    facts: Facts
    note: dict[str, Any]
    seconds: float
    bytes: int
    answers: int = 0
    used: float = 0.0

    def state(self) -> dict[str, Any]:
        """Return what `session status` tells of it."""
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

    def description(self) -> dict[str, Any]:
        """Return what an evaluator needs to build the same object without its weights."""
        from vldock.image.engines import eligibility

        kind = type(self.model)
        return {
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "state": {name: value for name, value in vars(self.model).items() if is_plain(value)},
            "facts": asdict(self.facts),
            "note": self.note,
            "not_batched": eligibility.refusal(self.model),
        }


def is_plain(value: Any) -> bool:
    """Tell whether a value is data through and through."""
    if isinstance(value, Mapping):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, PLAIN)


class LoadedModels:
    """Loads, finds and unloads models; `busy` tells which are being asked right now."""

    def __init__(self, *, emit: Callable[..., None], busy: Callable[[], set[str]], changed: Callable[[], None]) -> None:
        self._emit, self._busy, self._changed = emit, busy, changed
        self._held: dict[str, LoadedModel] = {}
        self._other: dict[str, dict[str, Any]] = {}  # those that load, or could not be

    def states(self) -> list[dict[str, Any]]:
        """Return every model's state, those that load and those that failed with them."""
        return [*(held.state() for held in list(self._held.values())), *self._other.values()]

    def held(self, name: str) -> LoadedModel | None:
        """Return a model that is loaded, or None."""
        return self._held.get(name)

    def get(self, name: str, *, say: Say) -> LoadedModel:
        """Return a model, loaded where it is not; `say` is told what that needs.

        Raises UsageError for a name VLMEvalKit does not know, EnvironmentUnfit without room, else what the load raises.
        """
        if name not in self._held:
            self._load(name, say)
        held = self._held[name]
        held.used = time.monotonic()
        return held

    def unload(self, name: str) -> bool:
        """Let a model go; tell whether it was there."""
        held = self._held.pop(name, None)
        if held is None:
            return False
        held.model = None
        del held
        gc.collect()
        model_memory.release()
        self._emit("model_unloaded", model=name)
        self._changed()
        return True

    def _load(self, name: str, say: Say) -> None:
        from vlmeval.config import supported_VLM

        from vldock.image.engines import memoized_tower
        from vldock.image.vlmeval_hooks.models import build as model_build
        from vldock.image.vlmeval_hooks.provenance import prompts, specs
        from vldock.image.vlmeval_hooks.run import unknown_names

        if name not in supported_VLM:
            raise UsageError(f"unknown model {name!r}", expected="a name of vlmutil mlist all")
        if standin_choice.asked(os.environ):
            standin_choice.require(unknown_names.of_the_hub([name]))
        self._other[name] = {"name": name, "state": "loading", "error": None}
        self._changed()
        self._emit("model_loading", model=name)
        begun = time.monotonic()
        try:
            before = model_memory.used()
            self._make_room(name, model_memory.needed(specs.repo_of(supported_VLM[name])), say)
            model_build.forget()
            model = model_build.build(supported_VLM, name, {})
            memoized_tower.prepare(model)
        except Exception as error:
            cause = one_line(error)
            self._other[name] = {"name": name, "state": "failed", "error": cause}
            self._emit("model_failed", model=name, error=cause)
            self._changed()
            raise
        seconds = time.monotonic() - begun
        spec, facts = specs.model_spec(supported_VLM[name]), facts_of(model)
        size = max(model_memory.used() - before, 0)
        self._held[name] = LoadedModel(name, model, spec, facts, prompts.of_model(model), seconds, size)
        self._other.pop(name, None)
        self._emit("model_loaded", model=name, seconds=round(seconds, 3), bytes=size, **asdict(facts))
        self._changed()

    def _make_room(self, name: str, needed: int | None, say: Say) -> None:
        """Tell what a load needs, and unload models nobody asks, the one longest unused first, until it fits."""
        if needed is None:
            say(f"loading {name}; how much memory it needs is not known before it was downloaded")
            return
        beside = f" beside {', '.join(self._held)}" if self._held else ""
        where = model_memory.where()
        say(f"loading {name}{beside}: about {_gb(needed)} needed, {_gb(model_memory.free())} free on {where}")
        while model_memory.free() < needed:
            idle = sorted((h for h in self._held.values() if h.name not in self._busy()), key=lambda held: held.used)
            if not idle:
                raise EnvironmentUnfit(
                    f"{name} needs about {_gb(needed)} and {_gb(model_memory.free())} are free on {where}",
                    expected="room for it",
                    hint="python -m vldock.image session unload MODEL, or a session of its own for it",
                )
            say(f"unloading {idle[0].name}, which nobody uses now, to make room")
            self.unload(idle[0].name)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
