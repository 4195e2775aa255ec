"""Inference steps beside the matrix.

A session with two runs, predict.py, and the feature cache.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.common import passport
from vldock.common.cache_env import WORKSPACE
from vldock.common.equality import compare_answers
from vldock.common.errors import EvaluationFailed
from vldock.common.image_paths import VLMEVALKIT
from vldock.common.inference_options import BATCHED, STOCK
from vldock.common.matrix import find_model
from vldock.image.selftest import cells, samples
from vldock.image.selftest.context import IMAGE, PYTHON, StepContext, StepResult, find_cause, terminate

MODEL = "llava_v1.5_7b"
EXECS = ("POPE", "TextVQA_VAL")
LOADED = "is loaded in the session's worker"
POLL = 0.5  # seconds
SOCKET_PATH = 80  # longest folder name, in bytes, for a socket in it
PREDICT = f"{WORKSPACE}/scripts/predict.py"
RUN = f"{VLMEVALKIT}/run.py"


def session(context: StepContext) -> StepResult:
    """Run run.py twice in a session.

    Raises EvaluationFailed unless the session's worker, not run.py, gave each answer.
    """
    before, seconds = 0, []
    with _folder(context) as place, _served(context, {"VLDOCK_SESSION": str(place)}) as more:
        for name in EXECS:
            began = time.monotonic()
            argv = [PYTHON, RUN, "--data", name, "--model", MODEL, "--work-dir", str(context.folder / "session")]
            done = context.run(f"session-{name}", [*argv, "--limit", str(context.limit)], more=more)
            seconds.append(round(time.monotonic() - began, 1))
            by_worker = _status(context, more)["models"][0]["answers"] - before
            answered = cells.read_predictions(next((context.folder / "session").rglob(f"{MODEL}_{name}.xlsx")))
            if LOADED not in done.err or by_worker != len(answered.answers):
                said = next((line for line in done.err.splitlines() if "session" in line), "no line of a session")
                raise EvaluationFailed(
                    f"{name}: the session's worker gave {by_worker} of {len(answered.answers)} answers: {said}"
                )
            _require_equal(name, answered, cells.read_answers(context, STOCK, MODEL, name))
            before += by_worker
        worker = _status(context, more)
    model = worker["models"][0]
    line = f"2 runs of run.py, {before} of {before} answers by the worker (pid {worker['worker_pid']}, "
    figures = {"answers_of_worker": before, "seconds_of_runs": seconds, "device": model["device"]}
    return StepResult(f"{line}{model['device']}), as without it", figures)


@contextmanager
def _folder(context: StepContext) -> Iterator[Path]:
    """Yield a private folder for the session's sockets, with a short path."""
    inside = context.folder / "s"
    if len(str(inside)) <= SOCKET_PATH:
        yield inside
        return
    made = tempfile.mkdtemp(prefix="vldock-")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _served(context: StepContext, more: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run a session with its model loaded; stop it at the end."""
    process = context.start("session-serve", [*IMAGE, "session", "serve", "--model", MODEL], more=more)
    try:
        _ready(context, process, more)
        yield more
        context.run("session-stop", [*IMAGE, "session", "stop"], more=more)
        if code := process.wait(context.seconds):
            raise EvaluationFailed(
                f"the session ended with {code}: {find_cause(context.read_log('session-serve.err'))}"
            )
    except subprocess.TimeoutExpired as error:
        raise EvaluationFailed("the session did not stop") from error
    finally:
        terminate(process)


def _ready(context: StepContext, process: subprocess.Popen[bytes], more: dict[str, str]) -> None:
    """Wait for the session's model.

    Raises EvaluationFailed with the cause where it cannot be loaded.
    """
    until = time.monotonic() + context.seconds
    while process.poll() is None and time.monotonic() < until:
        status = _status(context, more)
        broken = [model["error"] for model in status["models"] if model.get("error")]
        if broken or status["state"] == "failed":
            worker = find_cause(context.read_log("session-serve.err"))
            raise EvaluationFailed(f"the session's worker failed: {broken[0] if broken else worker}")
        if status["state"] == "ready" and [one["state"] for one in status["models"]] == ["ready"]:
            return
        time.sleep(POLL)
    raise EvaluationFailed(f"the session was not ready: {find_cause(context.read_log('session-serve.err'))}")


def _status(context: StepContext, more: dict[str, str]) -> dict[str, Any]:
    """Return the status of the session.

    It is the output of `session status --json`; before the server listens, a session without models.
    """
    argv = [*IMAGE, "session", "status", "--json"]
    done = subprocess.run(argv, env=context.environ(more), capture_output=True, text=True, check=False, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"state": "starting", "models": []}
    return found


def predict(context: StepContext) -> StepResult:
    """Compare predict.py's answers with run.py's; raises EvaluationFailed where one differs."""
    rows = samples.rows_of("POPE")[: context.limit]
    folder = context.folder / "predict"
    answers = ask(context, "predict", MODEL, samples.write_questions(rows, folder), folder / "answers.jsonl")
    expected = cells.read_answers(context, STOCK, MODEL, "POPE").answers
    wrong = [index for index, answer in answers.items() if answer != expected[index]]
    if wrong or len(answers) != len(rows):
        raise EvaluationFailed(f"predict.py: {len(wrong)} of {len(answers)} answers are not those of run.py: {wrong}")
    return StepResult(
        f"{len(answers)} answers, 0 differ from run.py's", {"answers": len(answers), "differing_answers": 0}
    )


def ask(context: StepContext, log: str, model: str, questions: Path, out: Path) -> dict[str, str]:
    """Run predict.py on a file of questions and return {id: answer}."""
    context.run(log, [PYTHON, PREDICT, "--model", model, "--questions", str(questions), "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {str(line["id"]): str(line["answer"]) for line in lines}


def features(context: StepContext) -> StepResult:
    """Build features, verify them, and evaluate from the cache.

    Verification reads each byte back. Raises EvaluationFailed for a difference.
    """
    folder = context.folder / "feature-pictures"
    pictures = samples.write_pictures(samples.rows_of("CCOCR_MultiLanOcr_Korean")[: context.limit], folder)
    known = find_model(MODEL)
    assert known is not None
    build = [*IMAGE, "features", "build", "--model", known.repo, "--images", str(folder), "--for-evaluation"]
    first, second = (json.loads(context.run(f"features-{n}", [*build, "--as-json"]).out) for n in (1, 2))
    fsck = context.run("features-fsck", [*IMAGE, "features", "fsck"])
    if first["computed"] != len(pictures) or second["computed"]:
        raise EvaluationFailed(f"features build: {first}, then {second}", expected="computed once, then read")
    for out in ("features-kept", "features-read"):
        cells.evaluate_model(context, BATCHED, MODEL, ["POPE"], out=out, words=["--feature-cache"])
    seen = passport.load(cells.cell_folder(context, "features-read", MODEL, "POPE") / passport.FILE)["features"]
    if not seen or seen["computed"] or not seen["read"]:
        raise EvaluationFailed(f"an evaluation did not read what one before it kept: {seen}")
    _require_equal("POPE", *(cells.read_answers(context, where, MODEL, "POPE") for where in ("features-read", STOCK)))
    line = f"{len(pictures)} built and read back; an evaluation read {seen['read']}, computed 0, answers the same"
    return StepResult(line, {"built": len(pictures), "read": seen["read"], "fsck": fsck.out.strip()})


def _require_equal(name: str, one: Any, two: Any) -> None:
    """Raise EvaluationFailed where two sets of predictions differ."""
    found = compare_answers(name, one, two)
    if not found.equal:
        raise EvaluationFailed(f"{name}: {found.answers} of {found.samples} answers differ: {found.example}")
