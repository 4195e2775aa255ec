"""Model without weights, with answers from the session's worker."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.common import inference_options, standin_choice
from vldock.common.cache_env import FEATURES_VARIABLE
from vldock.image import engines
from vldock.image.remote_code import executed
from vldock.image.session.worker_client import DEAD, DEATHS, WorkerClient, WorkerDied, log
from vldock.image.vlmeval_hooks.models import build as model_build
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.provenance import prompts, specs
from vldock.image.vlmeval_hooks.run import unknown_names

if TYPE_CHECKING:
    from vldock.image.answering.types import Answer, Question
    from vldock.image.session.messages import AnswersRequest, CallRequest


class Declined(BaseException):
    """Exit of a declined run.

    Not an Exception, so that run.py's handlers let it through.
    """


class RemoteModels:
    """Models of one run.py, held by the worker."""

    def __init__(self, worker: WorkerClient, *, template: str) -> None:
        self._worker = worker
        self._template = template  # of the worker, whose batches are prefetched with the session's prompt template

    def prepare(self, args: Any) -> None:
        """Request every model of the run from the worker.

        Called before anything is written; raises Declined.
        """
        if args.config is not None:
            raise Declined("--config builds its own models")
        if args.mode == "eval" or args.base_url or args.api_mode or not args.model:
            return
        if args.use_vllm:
            raise Declined("--use-vllm is not for the worker")
        batched = inference_options.read_engine(os.environ).batch_size is not None
        if batched and prompts.template() != self._template:
            raise Declined(f"batches are prepared with {prompts.VARIABLE}={self._template} here")
        from vlmeval.config import supported_VLM

        requirements.require_memory(args.model)
        if standin_choice.read_choice(os.environ):
            standin_choice.require(unknown_names.find_hub_models(args.model))
        for name in args.model:
            if name in supported_VLM and not specs.is_api(supported_VLM[name]):
                self.request(name, supported_VLM[name])
        model_build.use_resident(self.model)

    def request(self, name: str, factory: Any) -> None:
        """Request one model from the worker.

        The worker loads it if needed. Raises Declined.
        """
        spec = specs.model_spec(factory)
        try:
            answer = self._worker.ask({"op": "model", "name": name, "spec": spec})
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise Declined(f"the session's worker died: {self._worker.cause()}") from error
        except WorkerDied as error:
            raise Declined(f"the session's worker died: {error.cause}") from error
        if "declined" in answer:
            raise Declined(answer["declined"])
        self._worker.models[name] = {**answer, "spec": spec}
        facts = answer["facts"]
        log(
            f"{name} is loaded in the session's worker ({facts['device']}, {facts['dtype']}, {facts['attention']}); "
            "--no-worker loads it here"
        )

    def model(self, name: str) -> Any | None:
        """Return a remote model; None for an unrequested one."""
        description = self._worker.models.get(name)
        return None if description is None else make(name, description, self._worker)


def make(name: str, description: Mapping[str, Any], worker: WorkerClient) -> Any:
    """Return an object of the model's class, without weights.

    Its answers are remote.
    The other methods a benchmark calls (use_custom_prompt, build_prompt) need no weights, and the dumped images are on
    the evaluator's side.
    """
    module, _, qualified = description["class"].partition(":")
    kind: Any = importlib.import_module(module)
    for part in qualified.split("."):
        kind = getattr(kind, part)
    model = object.__new__(kind)
    model.__dict__.update(description["state"])
    prompts.record_model(description["note"])
    for repo, code in description["remote_code"].items():
        executed.record(repo, code)
    for method in ("generate", "chat"):
        if hasattr(kind, method):
            model.__dict__[method] = _remote_method(name, method, worker)
    engine = inference_options.read_engine(os.environ)
    if engine.batch_size is not None and description["not_batched"]:
        log(engines.describe_refusal(name, engine, description["not_batched"]))
        model._vldock_engine = None
    elif engine.batch_size is not None:
        model._vldock_engine = RemoteEngine(name, worker)
    return model


def _remote_method(name: str, method: str, worker: WorkerClient) -> Callable[..., Any]:
    def call(message: Any, dataset: str | None = None) -> Any:
        request: CallRequest = {
            "op": "call",
            "model": name,
            "method": method,
            "arguments": {"message": with_absolute_paths(message), "dataset": dataset},
            "prompt": prompts.template(),
        }
        answer = worker.ask(request)
        prompts.merge_note(answer["note"])
        return answer["value"]

    return call


class RemoteEngine:
    """The worker's batched engine, with the interface of the local one.

    Questions are sent in chunks, so that the worker can serve others in between and its death repeats one chunk only.
    """

    CHUNK = 64

    def __init__(self, name: str, worker: WorkerClient) -> None:
        self._name = name
        self._worker = worker

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield an answer for each question, in any order; raises as `WorkerClient.ask`."""
        questions = iter(questions)
        while chunk := list(islice(questions, self.CHUNK)):
            yield from self._answer_chunk(chunk)

    def _answer_chunk(self, chunk: list[Question]) -> Iterator[Answer]:
        remaining = {question.index: question for question in chunk}
        deaths = 0
        while remaining:
            before = len(remaining)
            request: AnswersRequest = {
                "op": "answers",
                "model": self._name,
                "questions": list(remaining.values()),
                "env": _engine_env(),
            }
            try:
                for answer in self._worker.stream(request):
                    del remaining[answer["answer"].index]
                    yield answer["answer"]
            except DEAD as error:
                deaths = 1 if len(remaining) < before else deaths + 1
                cause = self._worker.record_death(retry=deaths < DEATHS)
                if deaths >= DEATHS:
                    raise WorkerDied("these samples", cause) from error


def _engine_env() -> dict[str, str]:
    """Return the variables from which the worker makes this run's engine."""
    names = (inference_options.ENGINE_VARIABLE, inference_options.BATCH_VARIABLE)
    found = {name: os.environ[name] for name in names if name in os.environ}
    # sent even where unset: another client's values remain in the worker's environment
    cache = (inference_options.CACHE_VARIABLE, inference_options.LIMIT_VARIABLE, FEATURES_VARIABLE)
    return found | {name: os.environ.get(name, "") for name in cache}


def with_absolute_paths(message: Any) -> Any:
    """Return a message with absolute paths of its files.

    The worker has another current folder.
    """
    if isinstance(message, dict):
        if message.get("type") in ("image", "video") and isinstance(message.get("value"), str):
            path = Path(message["value"])
            return {**message, "value": str(path.absolute()) if path.is_file() else message["value"]}
        return {key: with_absolute_paths(value) for key, value in message.items()}
    return [with_absolute_paths(item) for item in message] if isinstance(message, list) else message
