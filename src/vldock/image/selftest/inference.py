"""A session with two runs, predict.py, and the feature cache: what people do beside the matrix."""

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
from vldock.common.equality import equality
from vldock.common.errors import EvaluationFailed
from vldock.common.image_paths import VLMEVALKIT
from vldock.common.inference_options import BATCHED, STOCK
from vldock.common.matrix import find_model
from vldock.image.selftest import cells, samples
from vldock.image.selftest.bench import IMAGE, PYTHON, Bench, StepResult, cause, end

MODEL = "llava_v1.5_7b"
EXECS = ("POPE", "TextVQA_VAL")
LOADED = "is loaded in the session's worker"
POLL = 0.5  # seconds
SOCKET_PATH = 80  # bytes of a folder in which a socket's path is not too long
PREDICT = f"{WORKSPACE}/scripts/predict.py"
RUN = f"{VLMEVALKIT}/run.py"


def session(bench: Bench) -> StepResult:
    """Run run.py twice beside a session; raises EvaluationFailed unless its worker, not run.py, gave each answer."""
    before, seconds = 0, []
    with _folder(bench) as place, _served(bench, {"VLDOCK_SESSION": str(place)}) as more:
        for name in EXECS:
            began = time.monotonic()
            argv = [PYTHON, RUN, "--data", name, "--model", MODEL, "--work-dir", str(bench.folder / "session")]
            done = bench.run(f"session-{name}", [*argv, "--limit", str(bench.limit)], more=more)
            seconds.append(round(time.monotonic() - began, 1))
            by_worker = _status(bench, more)["models"][0]["answers"] - before
            answered = cells.read(next((bench.folder / "session").rglob(f"{MODEL}_{name}.xlsx")))
            if LOADED not in done.err or by_worker != len(answered.answers):
                said = next((line for line in done.err.splitlines() if "session" in line), "no line of a session")
                raise EvaluationFailed(
                    f"{name}: the session's worker gave {by_worker} of {len(answered.answers)} answers: {said}"
                )
            _require_equal(name, answered, cells.answers_of(bench, STOCK, MODEL, name))
            before += by_worker
        worker = _status(bench, more)
    model = worker["models"][0]
    told = f"2 runs of run.py, {before} of {before} answers by the worker (pid {worker['worker_pid']}, "
    figures = {"answers_of_worker": before, "seconds_of_runs": seconds, "device": model["device"]}
    return StepResult(f"{told}{model['device']}), as without it", figures)


@contextmanager
def _folder(bench: Bench) -> Iterator[Path]:
    """Yield a private folder for the session's sockets, whose paths may not be long."""
    inside = bench.folder / "s"
    if len(str(inside)) <= SOCKET_PATH:
        yield inside
        return
    made = tempfile.mkdtemp(prefix="vldock-")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _served(bench: Bench, more: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start a session, wait until its model is loaded, and stop it at the end."""
    process = bench.started("session-serve", [*IMAGE, "session", "serve", "--model", MODEL], more=more)
    try:
        _ready(bench, process, more)
        yield more
        bench.run("session-stop", [*IMAGE, "session", "stop"], more=more)
        if code := process.wait(bench.seconds):
            raise EvaluationFailed(f"the session ended with {code}: {cause(bench.text('session-serve.err'))}")
    except subprocess.TimeoutExpired as error:
        raise EvaluationFailed("the session did not stop") from error
    finally:
        end(process)


def _ready(bench: Bench, process: subprocess.Popen[bytes], more: dict[str, str]) -> None:
    """Wait for the session's model; raises EvaluationFailed with the cause where it cannot be loaded."""
    until = time.monotonic() + bench.seconds
    while process.poll() is None and time.monotonic() < until:
        status = _status(bench, more)
        broken = [model["error"] for model in status["models"] if model.get("error")]
        if broken or status["state"] == "failed":
            worker = cause(bench.text("session-serve.err"))
            raise EvaluationFailed(f"the session's worker failed: {broken[0] if broken else worker}")
        if status["state"] == "ready" and [one["state"] for one in status["models"]] == ["ready"]:
            return
        time.sleep(POLL)
    raise EvaluationFailed(f"the session was not ready: {cause(bench.text('session-serve.err'))}")


def _status(bench: Bench, more: dict[str, str]) -> dict[str, Any]:
    """Return what `session status --json` prints; before the server listens, a session without models."""
    argv = [*IMAGE, "session", "status", "--json"]
    done = subprocess.run(argv, env=bench.environ(more), capture_output=True, text=True, check=False, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"state": "starting", "models": []}
    return found


def predict(bench: Bench) -> StepResult:
    """Ask predict.py what run.py asked; raises EvaluationFailed where an answer is another."""
    rows = samples.rows_of("POPE")[: bench.limit]
    folder = bench.folder / "predict"
    answers = ask(bench, "predict", MODEL, samples.write_questions(rows, folder), folder / "answers.jsonl")
    wanted = cells.answers_of(bench, STOCK, MODEL, "POPE").answers
    wrong = [index for index, answer in answers.items() if answer != wanted[index]]
    if wrong or len(answers) != len(rows):
        raise EvaluationFailed(f"predict.py: {len(wrong)} of {len(answers)} answers are not those of run.py: {wrong}")
    return StepResult(
        f"{len(answers)} answers, 0 differ from run.py's", {"answers": len(answers), "differing_answers": 0}
    )


def ask(bench: Bench, log: str, model: str, questions: Path, out: Path) -> dict[str, str]:
    """Ask predict.py a file of questions and return {id: answer}."""
    bench.run(log, [PYTHON, PREDICT, "--model", model, "--questions", str(questions), "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {str(line["id"]): str(line["answer"]) for line in lines}


def features(bench: Bench) -> StepResult:
    """Build features, read each byte back, and evaluate from the cache; raises EvaluationFailed for what differs."""
    folder = bench.folder / "feature-pictures"
    pictures = samples.write_pictures(samples.rows_of("CCOCR_MultiLanOcr_Korean")[: bench.limit], folder)
    known = find_model(MODEL)
    assert known is not None
    build = [*IMAGE, "features", "build", "--model", known.repo, "--images", str(folder), "--for-evaluation"]
    first, second = (json.loads(bench.run(f"features-{n}", [*build, "--as-json"]).out) for n in (1, 2))
    fsck = bench.run("features-fsck", [*IMAGE, "features", "fsck"])
    if first["computed"] != len(pictures) or second["computed"]:
        raise EvaluationFailed(f"features build: {first}, then {second}", expected="computed once, then read")
    for out in ("features-kept", "features-read"):
        cells.evaluate_model(bench, BATCHED, MODEL, ["POPE"], out=out, words=["--feature-cache"])
    seen = passport.load(cells.cell_folder(bench, "features-read", MODEL, "POPE") / passport.FILE)["features"]
    if not seen or seen["computed"] or not seen["read"]:
        raise EvaluationFailed(f"an evaluation did not read what one before it kept: {seen}")
    _require_equal("POPE", *(cells.answers_of(bench, where, MODEL, "POPE") for where in ("features-read", STOCK)))
    line = f"{len(pictures)} built and read back; an evaluation read {seen['read']}, computed 0, answers the same"
    return StepResult(line, {"built": len(pictures), "read": seen["read"], "fsck": fsck.out.strip()})


def _require_equal(name: str, one: Any, two: Any) -> None:
    """Raise EvaluationFailed where two sets of predictions differ."""
    found = equality(name, one, two)
    if not found.equal:
        raise EvaluationFailed(f"{name}: {found.answers} of {found.samples} answers differ: {found.example}")
