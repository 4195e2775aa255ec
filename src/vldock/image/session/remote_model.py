"""A model whose weights are in the worker: built here without them, its answers fetched over the worker's socket."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vldock.common import inference_options, standin_choice
from vldock.common.cache_env import FEATURES_VARIABLE
from vldock.image.session.worker_client import DEAD, DEATHS, WorkerClient, WorkerDied, say
from vldock.image.vlmeval_hooks.models import build as model_build
from vldock.image.vlmeval_hooks.provenance import prompts, specs
from vldock.image.vlmeval_hooks.run import unknown_names


class Declined(BaseException):
    """This run is not for the session; not an Exception, so that run.py's handlers let it through."""


class Models:
    """The models of one run.py, as far as the worker has them."""

    def __init__(self, link: WorkerClient, *, template: str) -> None:
        self._link = link
        self._template = template  # of the worker: its batches are prepared ahead, in the session's wording

    def prepare(self, args: Any) -> None:
        """Ask the worker for every model of the run, before anything is written; raises Declined for one it has not."""
        if args.config is not None:
            raise Declined("--config builds its own models")
        if args.mode == "eval" or args.base_url or args.api_mode or not args.model:
            return
        if args.use_vllm:
            raise Declined("--use-vllm is not for the worker")
        batched = inference_options.asked(os.environ).batch_size is not None
        if batched and prompts.template() != self._template:
            raise Declined(f"batches are prepared with {prompts.VARIABLE}={self._template} here")
        from vlmeval.config import supported_VLM

        if standin_choice.asked(os.environ):
            standin_choice.require(unknown_names.of_the_hub(args.model))
        for name in args.model:
            if name in supported_VLM and not specs.is_api(supported_VLM[name]):
                self._describe(name, supported_VLM[name])
        model_build.hold_resident(self.model)

    def _describe(self, name: str, factory: Any) -> None:
        spec = specs.model_spec(factory)
        try:
            answer = self._link.ask({"op": "model", "name": name, "spec": spec})
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise Declined(f"the session's worker died: {self._link.cause()}") from error
        except WorkerDied as error:
            raise Declined(f"the session's worker died: {error.cause}") from error
        if "declined" in answer:
            raise Declined(answer["declined"])
        self._link.described[name] = {**answer, "spec": spec}
        facts = answer["facts"]
        say(
            f"{name} is loaded in the session's worker ({facts['device']}, {facts['dtype']}, {facts['attention']}); "
            "--no-worker loads it here"
        )

    def model(self, name: str) -> Any | None:
        """Return a model that asks the worker, or None for one that is not there."""
        described = self._link.described.get(name)
        return None if described is None else shell(name, described, self._link)


def shell(name: str, described: Mapping[str, Any], link: WorkerClient) -> Any:
    """Return an object of the model's own class, with its plain attributes and no weights; its answers are remote.

    What a benchmark asks of a model beside answers (use_custom_prompt, build_prompt) needs no weights, and the dumped
    images lie on the evaluator's side.
    """
    module, _, qualified = described["class"].partition(":")
    kind: Any = importlib.import_module(module)
    for part in qualified.split("."):
        kind = getattr(kind, part)
    model = object.__new__(kind)
    model.__dict__.update(described["state"])
    prompts.loaded(described["note"])
    for method in ("generate", "chat"):
        if hasattr(kind, method):
            model.__dict__[method] = _remote(name, method, link)
    engine = inference_options.asked(os.environ)
    if engine.batch_size is not None and described["not_batched"]:
        say(f"engine {engine.describe()}: VLMEvalKit's own loop answers instead: {described['not_batched']}")
    elif engine.batch_size is not None:
        model._vldock_engine = RemoteEngine(name, link)
    return model


def _remote(name: str, method: str, link: WorkerClient) -> Callable[..., Any]:
    def call(message: Any, dataset: str | None = None) -> Any:
        asked = {"message": absolute(message), "dataset": dataset}
        request = {"op": "call", "model": name, "method": method, "arguments": asked, "prompt": prompts.template()}
        answer = link.ask(request)
        prompts.received(answer["note"])
        return answer["value"]

    return call


class RemoteEngine:
    """The worker's batched engine, with the interface of the local one: questions in, answers as they come.

    Questions go over in portions, so that the worker can serve others in between and a death repeats one portion only.
    """

    PORTION = 64

    def __init__(self, name: str, link: WorkerClient) -> None:
        self._name = name
        self._link = link

    def answers(self, questions: Iterable[Any]) -> Iterator[Any]:
        """Yield an answer for each question, in any order; raises as `Link.ask`."""
        portion: list[Any] = []
        for question in questions:
            portion.append(question)
            if len(portion) == self.PORTION:
                yield from self._portion(portion)
                portion = []
        yield from self._portion(portion)

    def _portion(self, portion: list[Any]) -> Iterator[Any]:
        left = {question.index: question for question in portion}
        deaths = 0
        while left:
            request = {"op": "answers", "model": self._name, "questions": list(left.values()), "env": _engine_env()}
            before = len(left)
            try:
                for answer in self._link.stream(request):
                    del left[answer["answer"].index]
                    yield answer["answer"]
            except DEAD as error:
                deaths = 1 if len(left) < before else deaths + 1
                cause = self._link.lost(again=deaths < DEATHS)
                if deaths >= DEATHS:
                    raise WorkerDied("these samples", cause) from error


def _engine_env() -> dict[str, str]:
    """Return the variables by which the worker makes the engine this run asked for."""
    names = (inference_options.ENGINE_VARIABLE, inference_options.BATCH_VARIABLE)
    found = {name: os.environ[name] for name in names if name in os.environ}
    # told even where they are unset: another client's stay in the worker's environment
    cache = (inference_options.CACHE_VARIABLE, inference_options.LIMIT_VARIABLE, FEATURES_VARIABLE)
    return found | {name: os.environ.get(name, "") for name in cache}


def absolute(message: Any) -> Any:
    """Return a message whose files are named by their whole path: the worker is in another folder."""
    if isinstance(message, dict):
        if message.get("type") in ("image", "video") and isinstance(message.get("value"), str):
            path = Path(message["value"])
            return {**message, "value": str(path.absolute()) if path.is_file() else message["value"]}
        return {key: absolute(value) for key, value in message.items()}
    return [absolute(item) for item in message] if isinstance(message, list) else message
